// GET requests to the public port.

/**
 * What a connection asks for.
 * @typedef {{url: string, client: string, channels: Iterable<string>, since: string, credentials: RequestCredentials,
 *   environment: import("./environment.js").Environment}} Call
 */

/**
 * @param {Call} call
 * @param {string} path below /comet/
 * @param {object} [parameters] further ones
 * @returns {string}
 */
export function address({ url, client, channels, since }, path, parameters) {
  const query = new URLSearchParams({ since, ...parameters });
  if (client) query.append("client", client);
  for (const channel of channels) query.append("channel", channel);
  return `${url}comet/${path}?${query}`;
}

/**
 * @param {Call} call
 * @param {"events" | "poll"} path
 * @param {object} [parameters]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>} 200 and of the right type
 * @throws {import("./advice.js").Ending} another status
 * @throws {SyntaxError} another type: a captive portal says 200 to everything, and gives its own page
 * @throws {Error} no answer
 */
export async function request(call, path, parameters, signal) {
  const { credentials, environment } = call;
  const { fetch, now } = environment;
  const Accept = path === "poll" ? "application/json" : "text/event-stream";
  const response = await fetch(address(call, path, parameters), { headers: { Accept }, credentials, signal });
  const { status, statusText, headers } = response;
  const wait = headers.get("Retry-After");
  if (status !== 200) throw { code: status, message: statusText, wait: wait * 1000 || Date.parse(wait) - now() || 0 };
  if (!`${headers.get("Content-Type")}`.startsWith(Accept)) throw SyntaxError(`not ${Accept}`);
  return response;
}

/** @returns {Promise<{position: string, messages: {channel: string, id: string, data: any}[], gaps?: string[]}>} */
export async function poll(call, parameters, signal) {
  const answer = await (await request(call, "poll", parameters, signal)).json();
  if (!answer.messages) throw SyntaxError("not a poll");
  return answer;
}
