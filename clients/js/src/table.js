// Where the tabs of a browser meet: a BroadcastChannel, and a lock. Who holds the lock leads, and has the hub: a shared
// worker where the browser starts one, which then is there first, else one of the tabs. The others wait for it to become
// free. What is said is {from, body} to the hub, and {to, hub, body} from it; `to`: names of tabs, or nothing, which is all.

import { makeHub } from "./hub.js";
import { OWN_URL } from "./own_url.js";

/** The library's own file, which is what the worker runs. In a file of another name it is part of something else. */
const OWN_FILE = /\/megacomet\.(m?)js(\?.*)?$/;

/**
 * @param {string} hub its name
 * @param {string} name of the tab, "" of the worker
 * @param {import("./page.js").Surroundings} environment
 * @param {(body: object, hub: number) => void} hear what a hub says, and which
 * @param {() => void} fail nobody can lead
 * @returns {{send: (body: object) => void, silent: () => void, close: () => void}} `silent`: the hub does not answer
 * @throws {Error} the browser has no such thing, or the page may not use it
 */
export function openTable(hub, name, environment, hear, fail) {
  const { locks, BroadcastChannel, SharedWorker, own = OWN_URL } = environment;
  const channel = new BroadcastChannel(hub);
  let led = null;
  /** The hub of whoever has led last: they have growing numbers. Who sleeps through its end is heard no more. */
  let newest = 0;
  let waiting = null;
  let resign = () => {};
  let isClosed = false;

  function tell(message) {
    // What was asked for before the end is answered behind it, too.
    if (!isClosed) channel.postMessage(message);
    heard(message);
  }

  function heard({ from, to, hub: id, body }) {
    if (from) return led?.received(from, body);
    if (id < newest) return;
    const isReplaced = id > newest;
    newest = id;
    if (isReplaced) stepDown(true);
    if (to && !to.includes(name)) return;
    hear(body, id);
    if (!isClosed) wait();
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

  function wait() {
    if (locks && !waiting) queue(false);
  }

  channel.onmessage = ({ data }) => heard(data);
  try {
    const [, isModule] = OWN_FILE.exec(own);
    new SharedWorker(own, { name: hub, type: isModule ? "module" : "classic" }).onerror = wait;
  } catch {
    // Without locks a worker leads all the same, as there is one only.
    if (locks) wait();
    else if (name) throw Error("nobody to lead");
    else lead();
  }
  return {
    send(body) {
      if (led) queueMicrotask(() => led?.received(name, body));
      else channel.postMessage({ from: name, body });
    },
    /** Who leads is frozen, or busy with itself; it finds out when it wakes up. */
    silent() {
      waiting?.abort();
      queue(true);
    },
    close() {
      isClosed = true;
      waiting?.abort();
      stepDown(false);
      channel.close();
    },
  };
}
