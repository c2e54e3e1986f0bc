// What was said on one channel since a position, fetched page by page beside the connection.

import { pause } from "./advice.js";
import { after } from "./environment.js";
import { askPoll } from "./requests.js";

const PAGE = 1000;

/**
 * Fetches what there is, until there is no more or `take` has enough; comes back after failures.
 * @param {import("./requests.js").Call} call with the one channel, and `since`
 * @param {AbortSignal} signal
 * @param {(page: {position: string, messages: object[], gaps?: string[]}) => boolean} take tells whether it has enough
 * @throws {import("./advice.js").Ending} when the server does not want to tell, or `signal` was given
 */
export async function fetchMissed(call, signal, take) {
  const { environment } = call;
  for (let since = call.since, failures = 0; ; ) {
    try {
      const page = await askPoll({ ...call, client: "", since }, { timeout: 0, limit: PAGE }, signal);
      if (signal.aborted || take(page) || !page.messages.length || page.position === since) return;
      since = page.position;
      failures = 0;
    } catch (ending) {
      if (ending.isFinal || signal.aborted) throw ending;
      await new Promise((go) => after(environment, pause(failures++, ending.wait, environment.random), go));
    }
  }
}
