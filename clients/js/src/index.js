// What the library gives. Where tabs have started it as their shared worker it holds their connection.

import { startWorker } from "./worker.js";

export { MegaComet } from "./megacomet.js";
export { VERSION } from "./version.js";

if (globalThis.SharedWorkerGlobalScope) startWorker(globalThis);
