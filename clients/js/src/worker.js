// What the library does where tabs have started it as their shared worker.

import { hubName, makeHub } from "./hub.js";
import { pageSurroundings } from "./page.js";

/** @param {SharedWorkerGlobalScope} scope which others may have started for something else */
export function startWorker(scope, environment = pageSurroundings()) {
  if (!scope.name.startsWith('["megacomet",')) return;
  const [, , url, client, credentials, transports] = JSON.parse(scope.name);
  // The tabs may have another version of the library than the one that was loaded here.
  const isOurs = scope.name === hubName({ url, client, credentials, transports });
  const hub = makeHub(scope.name, environment, (ports, body) => {
    for (const port of ports) port.postMessage(body);
  });
  scope.onconnect = ({ ports: [port] }) => {
    if (!isOurs) port.postMessage({ op: "nobody" });
    else port.onmessage = ({ data: { from, body } }) => hub.received(from, body, port);
  };
}
