// What the end of a connection says about coming back, and how long to wait before that.

import { after } from "./environment.js";

/**
 * How a connection ended.
 * @typedef {{code?: number, message: string, wait?: number}} Ending
 * `code`: a close code, or an HTTP status; `wait`: ms to wait at least
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A longer timer is none: it ends at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** The same request would be answered so again, or the server says so: 204 is for those who were cut off. */
const FINAL = /^(204|40[01345]|41[04]|431|100[2379]|[34][5-9]..)$/;

/** @returns {boolean} whether the server wants no other try */
export function isFinal(code) {
  return FINAL.test(code);
}

/**
 * How long to wait before the next try: anything up to a bound that doubles, so that those who were cut off together do
 * not come back together; when the server said how long, that and up to half more.
 * @param {import("./environment.js").Environment} environment
 * @param {number} failures in a row
 * @param {number} [wait] ms to wait at least
 * @returns {number} ms
 */
export function pause({ random }, failures, wait = 0) {
  const jitter = random();
  const wanted = Math.max(wait * (1 + jitter / 2), jitter * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures));
  return Math.min(LONGEST_TIMER_MS, wanted);
}

/** Waits for such a pause. */
export function backOff(environment, failures, wait) {
  return new Promise((go) => after(environment, pause(environment, failures, wait), go));
}
