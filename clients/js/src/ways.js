// The two ways for the tabs of a browser to share a hub. Each brings what a tab says to the hub and back, and throws
// where the browser does not have it or the page may not use it.
//
//   open(hub, name, environment, hear, fail)   names of hub and tab; `hear(body, id)`: what a hub says, and which one;
//                                              `fail()`: this way leads nowhere
//   → send(body) · silent(): the hub does not answer, find another one · close()

import { makeHub } from "./hub.js";
import { OWN_URL } from "./own_url.js";

/** The library's own file, which is what the worker runs. In a file of another name it is part of something else. */
const OWN_FILE = /\/megacomet\.m?js(\?.*)?$/;

/** A shared worker has the hub. A message to it is {from, body}. */
export function openWorker(hub, name, { SharedWorker, own = OWN_URL }, hear, fail) {
  if (!OWN_FILE.test(own)) throw new Error("not the library's own file");
  const worker = new SharedWorker(own, { name: hub, type: own.includes(".mjs") ? "module" : "classic" });
  const { port } = worker;
  worker.onerror = fail;
  port.onmessage = ({ data }) => hear(data, 1); // there is one only
  return {
    send: (body) => port.postMessage({ from: name, body }),
    silent: fail,
    close: () => port.close(),
  };
}

/**
 * A tab has the hub: who holds the lock leads, and the others wait for it to become free. A message is {from, body} to
 * the hub, and {to, hub, body} from it; `to`: names of tabs, or nothing, which is all.
 */
export function openLeader(hub, name, environment, hear, fail) {
  const { locks, BroadcastChannel } = environment;
  if (!locks) throw new Error("no locks");
  const channel = new BroadcastChannel(hub);
  let waiting;
  let led = null;
  /** The hub of whoever has led last: they have growing numbers. Who sleeps through its end is heard no more. */
  let newest = 0;
  let resign = () => {};
  let isClosed = false;

  function tell(message) {
    channel.postMessage(message);
    heard(message);
  }

  function heard({ from, to, hub: id, body }) {
    if (from) return led?.received(from, body, from);
    if (id < newest) return;
    const isReplaced = id > newest;
    newest = id;
    if (isReplaced) stepDown(true);
    if (!to || to.includes(name)) hear(body, id);
  }

  // Leads for as long as the lock is held.
  function lead() {
    if (isClosed) return undefined;
    const id = (newest = Math.max(environment.now(), newest + 1));
    led = makeHub(hub, environment, (to, body) => tell({ to, hub: id, body }));
    tell({ hub: id, body: { op: "here" } });
    return new Promise((resolve) => {
      resign = resolve;
    });
  }

  function stepDown(isReplaced) {
    const last = led;
    led = null;
    last?.close(isReplaced);
    resign();
  }

  async function queue(steal) {
    let hasLed = false;
    const { signal } = (waiting = new AbortController());
    try {
      await locks.request(hub, steal ? { steal } : { signal }, () => (hasLed = true) && lead());
    } catch {
      if (hasLed) {
        // Another tab has taken it.
        stepDown(true);
        queue(false);
      } else if (!signal.aborted) fail();
    }
  }

  channel.onmessage = ({ data }) => heard(data);
  queue(false);
  return {
    send(body) {
      if (led) queueMicrotask(() => led?.received(name, body, name));
      else channel.postMessage({ from: name, body });
    },
    /** The tab that leads is frozen, or busy with itself; it finds out when it wakes up. */
    silent() {
      waiting.abort();
      queue(true);
    },
    close() {
      isClosed = true;
      waiting.abort();
      stepDown(false);
      channel.close();
    },
  };
}
