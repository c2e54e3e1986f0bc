// The server's time, as far as this browser knows it, and the one timer that all relative times share.

import { createStore } from "./store.js";

/** A clock that jumps by more than this was set; less is the way of the frames through the network. */
const JUMP_S = 5;

/** How far the server's clock is ahead of this one; null: it has not said. */
let skewS = null;

/** The server says that it is `time` (unix seconds). */
export function learn(time) {
  const told = time - Date.now() / 1000;
  // A frame that took long tells too little, so the largest holds; it fades, since clocks also drift.
  const other = skewS === null || Math.abs(told - skewS) > JUMP_S;
  skewS = other ? told : Math.max(told, skewS - 0.001);
  if (other) second.set(serverNow()); // else all times were wrong for up to a second
}

/** Unix seconds by the server's clock. */
export function serverNow() {
  return Date.now() / 1000 + (skewS ?? 0);
}

/** serverNow(), told once a second while the page is seen. */
export const second = createStore(serverNow());

setInterval(() => {
  if (!document.hidden) second.set(serverNow());
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) second.set(serverNow());
});
