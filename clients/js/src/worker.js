// What the library does where tabs have started it as their shared worker.

import { HUB, makeHub } from "./hub.js";
import { pageSurroundings } from "./page.js";

/** @param {SharedWorkerGlobalScope} scope which others may have started for something else */
export function startWorker(scope, environment = pageSurroundings()) {
  const { name } = scope;
  if (!name.startsWith("megacomet ")) return;
  const post = (ports, body) => ports.forEach((port) => port.postMessage(body));
  // The tabs may have another version of the library than the one that was loaded here.
  const hub = name.startsWith(HUB) && makeHub(name, environment, post);
  scope.onconnect = ({ ports: [port] }) => {
    if (!hub) return port.postMessage({ op: "nobody" });
    port.onmessage = ({ data: { from, body } }) => hub.received(from, body, port);
  };
}
