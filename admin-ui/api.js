// Requests to the server, with the session's cookie and its token. Every answer that is none of success becomes an
// ApiProblem, and no answer an ApiProblem with the status 0; both say in words what is wrong.

import { encoded } from "./router.js";

const ROOT = "/console/api";
const SESSION = "/console/session";

/** What went wrong, as the server said it (problem+json) or as this side saw it. */
export class ApiProblem extends Error {
  /** @param {{status?: number, code?: string, title?: string, detail?: string, request_id?: string, errors?: {pointer: string, detail: string}[]}} told */
  constructor(told, retryAfterS = null) {
    super(told.detail || told.title || `the server answered ${told.status}`);
    this.name = "ApiProblem";
    /** 0: there was no answer. */
    this.status = told.status ?? 0;
    this.code = told.code ?? "";
    this.title = told.title ?? "";
    this.detail = told.detail ?? "";
    this.requestId = told.request_id ?? "";
    /** Of fields: [{pointer: "/channels/1", detail: "…"}] */
    this.errors = Array.isArray(told.errors) ? told.errors : [];
    /** Seconds, or null. */
    this.retryAfterS = retryAfterS;
  }

  /** What is wrong with one field of the request, or "". */
  of(field) {
    return this.errors.find((each) => each.pointer === `/${field}` || each.pointer?.startsWith(`/${field}/`))?.detail ?? "";
  }
}

let csrf = "";
let onEnd = () => {};

/** For session.js: the token of the session, and whom to tell that it has ended. */
export function useSession(token, ended = onEnd) {
  csrf = token;
  onEnd = ended;
}

/**
 * A path of the API; each part is one segment: path("channels", "a/b", "history") is "/channels/a%2Fb/history".
 * @throws {ApiProblem} a part is "." or "..", which no name is and which no browser would send as it stands
 */
export function path(...parts) {
  const dots = parts.find((part) => part === "." || part === "..");
  if (dots) throw new ApiProblem({ status: 400, code: "bad-name", detail: `a name is not '${dots}'` });
  return "/" + parts.map((part) => encoded(String(part))).join("/");
}

/** The address of a path of the API, for an EventSource. Parameters that are null, undefined or "" are left out. */
export function url(where, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = given.map(([key, value]) => `${encoded(key)}=${encoded(String(value))}`).join("&");
  return ROOT + where + (search ? `?${search}` : "");
}

/**
 * @param {string} where path of the API, made by `path`
 * @param {{query?: Record<string, unknown>, signal?: AbortSignal, parse?: (text: string) => any}} [options]
 *   `parse`: instead of JSON.parse
 * @returns {Promise<any>} the JSON that came back; null without a body
 * @throws {ApiProblem}
 */
export function get(where, { query, signal, parse } = {}) {
  return send("GET", url(where, query), undefined, signal, parse);
}

/** As `get`; `body` is sent as JSON. A string in `raw` is sent as it is, and must be JSON. */
export function post(where, body, { query, signal, raw } = {}) {
  return send("POST", url(where, query), raw ?? (body === undefined ? undefined : JSON.stringify(body)), signal);
}

/** As `get`. */
export function del(where, { query, signal } = {}) {
  return send("DELETE", url(where, query), undefined, signal);
}

/** The door of sessions itself; a 401 to the first two ends nothing. */
export const session = {
  look: (signal) => once("GET", SESSION, undefined, signal),
  begin: (key) => once("POST", SESSION, JSON.stringify({ key })),
  end: () => send("DELETE", SESSION),
};

async function send(method, address, body, signal, parse) {
  try {
    return await once(method, address, body, signal, parse);
  } catch (problem) {
    if (problem.status === 401) onEnd(problem);
    // Another tab may have begun a new session meanwhile, which has another token and the same cookie.
    else if (problem.status === 403 && method !== "GET" && (await tokenIsNew())) return once(method, address, body, signal);
    throw problem;
  }
}

async function tokenIsNew() {
  const before = csrf;
  try {
    csrf = (await session.look()).csrf;
  } catch {
    return false;
  }
  return csrf !== before;
}

async function once(method, address, body, signal, parse = JSON.parse) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  let text;
  try {
    answer = await fetch(address, { method, headers, body, signal, credentials: "same-origin", cache: "no-store" });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiProblem({ title: "No answer", detail: "The server did not answer. It may be restarting, or the network is away." });
  }
  const told = parsed(text, parse);
  if (answer.ok && (told !== undefined || text === "")) return told ?? null;
  const retryAfter = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  throw new ApiProblem(problemOf(answer, told), Number.isFinite(retryAfter) ? retryAfter : null);
}

function problemOf(answer, told) {
  if (answer.ok) return { status: answer.status, detail: "The server's answer is not JSON. Is something between this page and the server?" };
  const status = answer.status;
  return told && typeof told === "object" ? { ...told, status } : { status, title: answer.statusText };
}

function parsed(text, parse) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
