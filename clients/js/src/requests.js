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
 * @param {string} path
 * @param {string} type the content type that is wanted
 * @param {AbortSignal} [signal]
 * @param {object} [parameters]
 * @returns {Promise<Response>} 200 and of that type
 * @throws {import("./advice.js").Ending} another status
 * @throws {SyntaxError} another type: a captive portal says 200 to everything, and gives its own page
 * @throws {Error} no answer
 */
export async function request(call, path, type, signal, parameters) {
  const { credentials, environment } = call;
  const { fetch, now } = environment;
  const response = await fetch(address(call, path, parameters), { headers: { Accept: type }, credentials, signal });
  const { status, statusText, headers } = response;
  const wait = headers.get("Retry-After");
  if (status !== 200) throw { code: status, message: statusText, wait: wait * 1000 || Date.parse(wait) - now() || 0 };
  if (!`${headers.get("Content-Type")}`.startsWith(type)) throw SyntaxError(`not ${type}`);
  return response;
}

/** @returns {Promise<{position: string, messages: {channel: string, id: string, data: any}[], gaps?: string[]}>} */
export async function poll(call, parameters, signal) {
  const answer = await (await request(call, "poll", "application/json", signal, parameters)).json();
  if (!answer.messages) throw SyntaxError("not a poll");
  return answer;
}
