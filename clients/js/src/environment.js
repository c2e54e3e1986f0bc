// What the link needs of its surroundings, so that tests can give their own.

/**
 * @typedef {{WebSocket?: typeof WebSocket, fetch: typeof fetch, setTimeout: typeof setTimeout,
 *   clearTimeout: typeof clearTimeout, now: () => number, random: () => number}} Environment
 * `now`: ms of the clock on the wall, which goes on while the machine sleeps; `random`: from 0 to below 1. Take what you
 * call out of it first: browsers do not want their functions called as those of another object.
 */

/** A timer that fires so much later than it was due has slept, with the machine or with the page. */
const LATE_MS = 5000;

/**
 * @param {Partial<Environment>} given
 * @returns {Environment} what is not given is the browser's, or Node's
 */
export function surroundings(given) {
  return { __proto__: globalThis, now: Date.now, random: Math.random, ...given };
}

/**
 * Calls `act` in so many ms.
 * @param {Environment} environment
 * @param {number} ms
 * @param {(isLate: boolean) => void} act
 * @returns {() => void} takes it back
 */
export function after({ setTimeout, clearTimeout, now }, ms, act) {
  const due = now() + ms;
  const timer = setTimeout(() => act(now() - due > LATE_MS), ms);
  return () => clearTimeout(timer);
}
