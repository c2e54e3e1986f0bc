// What the library does where tabs have started it as their shared worker.

import { HUB } from "./hub.js";
import { pageSurroundings } from "./page.js";
import { openTable } from "./table.js";

/** @param {SharedWorkerGlobalScope} scope which others may have started, for something else or of another version */
export function startWorker({ name }, environment = pageSurroundings()) {
  const nothing = () => {};
  if (name.startsWith(HUB)) openTable(name, "", environment, nothing, nothing);
}
