// What the end of a connection says about coming back, and how long to wait before that.

import { after } from "./environment.js";

/**
 * @typedef {{code: number, reason: string, wait: number, isFinal: boolean}} Ending
 * `code`: a close code, an HTTP status, or 0; `wait`: ms to wait at least; `isFinal`: the server wants no other try.
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** The same request would be answered so again. 204 is for those who were cut off. */
const FINAL = [204, 400, 401, 403, 404, 405, 410, 414, 431, 1002, 1003, 1007, 1009];

/** @returns {Ending} */
export function ending(code, reason, wait = 0) {
  // From 3000 on the upper half of each thousand is final.
  return { code, reason, wait, isFinal: FINAL.includes(code) || (code >= 3000 && code % 1000 >= 500) };
}

/**
 * Waits before the next try: for anything up to a bound that doubles, so that those who were cut off together do not
 * come back together; when the server said how long, for that and up to half more.
 * @param {import("./environment.js").Environment} environment
 * @param {number} failures in a row
 * @param {number} wait ms to wait at least
 * @param {() => void} act called then
 * @returns {{delay: number, cancel: () => void}} ms
 */
export function backOff(environment, failures, wait, act) {
  const jitter = environment.random();
  const delay = Math.max(wait * (1 + jitter / 2), jitter * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures));
  return { delay, cancel: after(environment, delay, act) };
}
