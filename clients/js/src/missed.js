// What was said on channels since a position, fetched page by page beside the connection.

import { backOff, isFinal } from "./advice.js";
import { after } from "./environment.js";
import { poll } from "./requests.js";

const PAGE = 1000;
/** An answer comes at once, or on a slow network in this time. */
const PATIENCE_MS = 20_000;
/** In a row, three quarters of a minute in the mean: what waits behind it shall not wait for ever. */
const MOST_TRIES = 8;

/**
 * Fetches what there is, until there is no more or `take` has enough; comes back after failures.
 * @param {import("./requests.js").Call} call with the position as `since`
 * @param {AbortSignal} signal
 * @param {(page: {position: string, messages: object[], gaps?: string[]}) => boolean} take tells whether it has enough
 * @throws {import("./advice.js").Ending} when the server does not want to tell, or `signal` was given
 */
export async function fetchMissed(call, signal, take) {
  for (let { since } = call, failures = 0; !signal.aborted; ) {
    const attempt = new AbortController();
    signal.onabort = () => attempt.abort();
    const calm = after(call.environment, PATIENCE_MS, signal.onabort);
    try {
      const page = await poll({ ...call, since }, { timeout: 0, limit: PAGE }, attempt.signal).finally(calm);
      if (signal.aborted || take(page) || !page.messages.length || page.position === since) return;
      since = page.position;
      failures = 0;
    } catch (error) {
      if (signal.aborted || isFinal(error.code) || failures >= MOST_TRIES) throw error;
      await backOff(call.environment, failures++, error.wait);
    }
  }
}
