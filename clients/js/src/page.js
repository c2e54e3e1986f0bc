// The page that the library runs in: what happens to it, and what it remembers.

import { surroundings } from "./environment.js";
import { Link } from "./link.js";

/**
 * @typedef {import("./environment.js").Environment & {page: EventTarget, document?: Document, connection?: EventTarget,
 *   locks?: LockManager, SharedWorker?: typeof SharedWorker, BroadcastChannel?: typeof BroadcastChannel,
 *   Link: typeof Link}} Surroundings
 */

/**
 * @param {Partial<Surroundings>} [given] by tests
 * @returns {Surroundings} what the page's signals and sharing need besides; Node has little of it
 */
export function pageSurroundings(given) {
  const { document, navigator = {}, SharedWorker, BroadcastChannel } = globalThis;
  const { connection, locks } = navigator;
  const own = { page: globalThis, document, connection, locks, SharedWorker, BroadcastChannel, Link };
  return surroundings({ ...own, ...given });
}

/**
 * @param {Surroundings} surroundings
 * @param {(signal: "visible" | "hidden" | "online" | "network" | "away" | "back") => void} tell
 *   away: the page is left, or frozen, and may come back
 * @returns {() => void} ends it
 */
export function watchPage({ page, document, connection }, tell) {
  const ends = [];
  const watch = (target, name, signal) => {
    const listener = () => tell(signal ?? document.visibilityState);
    target?.addEventListener?.(name, listener);
    ends.push(() => target?.removeEventListener?.(name, listener));
  };
  watch(document, "visibilitychange");
  watch(page, "online", "online");
  watch(connection, "change", "network");
  watch(page, "pagehide", "away");
  watch(document, "freeze", "away");
  watch(page, "pageshow", "back");
  watch(document, "resume", "back");
  return () => ends.forEach((end) => end());
}

/**
 * The position that outlives the page, in its tab; where storage is forbidden or full it does not.
 * @param {Surroundings} surroundings
 * @param {string} name "": none
 * @param {string} [position] to be kept
 * @returns {string} what is kept
 */
export function remember({ page }, name, position) {
  try {
    if (name && position) page.sessionStorage.setItem(`megacomet ${name}`, position);
    return (name && page.sessionStorage.getItem(`megacomet ${name}`)) || "";
  } catch {
    return "";
  }
}
