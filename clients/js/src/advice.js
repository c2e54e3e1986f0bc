// What the end of a connection says about coming back, and how long to wait before that.

/**
 * @typedef {{code: number, reason: string, wait: number, isFinal: boolean}} Ending
 * `code`: a close code, an HTTP status, or 0; `wait`: ms to wait at least; `isFinal`: the server wants no other try.
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** The same request would be answered so again; 204 is what the server says to who was cut off. */
const FINAL_STATUSES = [204, 400, 401, 403, 404, 405, 410, 414, 431];
const FINAL_CLOSES = [1002, 1003, 1007, 1009];

/** @returns {Ending} of something that went wrong on the way */
export function broken(reason, wait = 0) {
  return { code: 0, reason, wait, isFinal: false };
}

/** @returns {Ending} of a WebSocket that was closed */
export function closed(code, reason) {
  const isFinal = FINAL_CLOSES.includes(code) || (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
  return { code, reason, wait: 1000 * (/\bretry=(\d+)/.exec(reason)?.[1] ?? 0), isFinal };
}

/**
 * @param {Response} response that is no 200
 * @param {number} now
 * @returns {Promise<Ending>}
 */
export async function refused(response, now) {
  const { status, statusText, headers } = response;
  const after = headers.get("Retry-After") ?? 0;
  const seconds = isNaN(after) ? (Date.parse(after) - now) / 1000 : Number(after);
  let reason = statusText;
  try {
    // The server's own errors say in a word what is wrong.
    reason = (await response.json()).code ?? reason;
  } catch {
    // Somebody else's do not.
  }
  return { code: status, reason, wait: Math.max(0, 1000 * seconds) || 0, isFinal: FINAL_STATUSES.includes(status) };
}

/**
 * How long to wait before the next try: anything up to a bound that doubles, so that those who were cut off together do
 * not come back together; when the server said how long, that and up to half more.
 * @param {number} failures in a row
 * @param {number} wait ms to wait at least
 * @param {() => number} random
 * @returns {number} ms
 */
export function pause(failures, wait, random) {
  const jitter = random();
  return Math.max(wait * (1 + jitter / 2), jitter * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures));
}
