// Addresses of the public port, and GET requests to them.

import { broken, refused } from "./advice.js";

/**
 * What a connection asks for.
 * @typedef {{url: string, client: string, channels: string[], since: string, credentials: RequestCredentials,
 *   environment: import("./environment.js").Environment}} Call
 */

/**
 * @param {Call} call
 * @param {string} path below /comet/
 * @param {object} [parameters] further ones
 * @returns {string}
 */
export function address({ url, client, channels, since }, path, parameters) {
  const query = new URLSearchParams(channels.map((channel) => ["channel", channel]));
  for (const [name, value] of Object.entries({ client, since, ...parameters })) if (value !== "") query.append(name, value);
  return `${url}comet/${path}?${query}`;
}

/**
 * Asks, and looks at the head of the answer.
 * @param {Call} call
 * @param {string} target
 * @param {string} type the content type that is wanted
 * @param {AbortSignal} signal
 * @returns {Promise<Response>} 200 and of that type
 * @throws {import("./advice.js").Ending} in all other cases
 */
export async function ask({ credentials, environment }, target, type, signal) {
  let response;
  try {
    response = await environment.fetch(target, { headers: { Accept: type }, cache: "no-store", credentials, signal });
  } catch (error) {
    throw broken(error.message);
  }
  if (response.status !== 200) throw await refused(response, environment.now());
  const given = response.headers.get("Content-Type") ?? "";
  // A captive portal says 200 to everything, and gives its own page.
  if (!given.startsWith(type)) throw { ...broken(`not ${type} but ${given}`), isGarbage: true };
  return response;
}

/**
 * Asks for what there is on channels, or waits for it.
 * @param {Call} call
 * @param {object} parameters of the poll
 * @param {AbortSignal} signal
 * @returns {Promise<{position: string, messages: {channel: string, id: string, data: any}[], gaps?: string[]}>}
 * @throws {import("./advice.js").Ending}
 */
export async function askPoll(call, parameters, signal) {
  const response = await ask(call, address(call, "poll", parameters), "application/json", signal);
  let text;
  try {
    text = await response.text();
  } catch (error) {
    throw broken(error.message);
  }
  try {
    const answer = JSON.parse(text);
    if (typeof answer.position === "string" && Array.isArray(answer.messages)) return answer;
  } catch {
    // said below
  }
  throw { ...broken("not the answer of a poll"), isGarbage: true };
}
