// The server's events as sentences. Pure.

import { counted, duration, number, visible } from "./format.js";

/** Codes of refused requests and messages, in words. */
const REASONS = {
  "bad-fields": "wrong fields", "bad-json": "no JSON", "bad-name": "no name", "bad-position": "no position",
  "bad-request": "malformed", conflict: "conflict", forbidden: "not allowed", "head-timeout": "head too slow",
  "head-too-large": "head too large", internal: "error of the server", "mailbox-full": "mailbox full",
  "method-not-allowed": "wrong method", "not-found": "not found", overloaded: "overloaded", "store-full": "store full",
  "shutting-down": "shutting down", "too-large": "too large", "too-many-requests": "too many requests",
  unauthorized: "no valid key", "unsupported-media-type": "wrong content type", "uri-too-long": "address too long",
};

function plain(name) {
  return visible(String(name)).map((piece) => piece.text).join("");
}

function reasons(told) {
  const sorted = Object.entries(told ?? {}).sort((a, b) => b[1] - a[1]);
  if (sorted.length === 1) return REASONS[sorted[0][0]] ?? plain(sorted[0][0]);
  return sorted.map(([code, count]) => `${number(count)} ${REASONS[code] ?? plain(code)}`).join(", ");
}

function total(told) {
  return Object.values(told ?? {}).reduce((sum, count) => sum + count, 0);
}

const where = (channel) => (channel === "*" ? "everyone" : plain(channel));

const BROADCAST = {
  running: (b) => `A broadcast to ${where(b.channel)} is running: ${counted(b.connections, "connection")}.`,
  paused: (b) => `The broadcast to ${where(b.channel)} is paused at ${number(b.written)} of ${number(b.connections)}.`,
  cancelled: (b) => `The broadcast to ${where(b.channel)} was cancelled at ${number(b.written)} of ${number(b.connections)}.`,
  done: (b) => `The broadcast to ${where(b.channel)} is done: written to ${counted(b.written, "connection")}.`,
};

/** Event -> [tone, kind for filters, sentence]. Tones: "" (as it should be), "ok", "warn", "bad". */
const SENTENCES = {
  "worker-up": (d) => ["ok", "workers", `Worker ${d.worker} listens.`],
  "worker-down": (d) => [
    "bad", "workers",
    `Worker ${d.worker} ended: ${plain(d.why)}.` + (d.again_in_s > 0 ? ` The next one is made in ${duration(d.again_in_s)}.` : ""),
  ],
  "worker-restart": (d) => ["", "workers", `Worker ${d.worker} was asked to restart.`],
  "worker-drain": (d) => ["warn", "workers", `Worker ${d.worker} is drained, ${number(d.per_s)} connections a second.`],
  "worker-drained": (d) => ["", "workers", `Worker ${d.worker} is empty.`],
  "worker-undrain": (d) => ["ok", "workers", `Worker ${d.worker} listens again; its drain was taken back.`],
  "link-lost": (d) => ["bad", "workers", `Worker ${d.worker} has lost its link to the manager; it keeps its clients.`],
  "link-up": (d) => ["ok", "workers", `Worker ${d.worker} has its link again.`],
  "clients-slow": (d) => ["warn", "clients", `${counted(d.closed, "client was", "clients were")} closed as slow.`],
  "requests-refused": (d) => [
    "warn", "refusals", `${counted(total(d.reasons), "request was", "requests were")} refused: ${reasons(d.reasons)}.`,
  ],
  "messages-refused": (d) => [
    "bad", "refusals", `${counted(total(d.reasons), "message was", "messages were")} not taken: ${reasons(d.reasons)}.`,
  ],
  broadcast: (d) => ["", "broadcasts", BROADCAST[d.state]?.(d) ?? `A broadcast to ${where(d.channel)}: ${plain(d.state)}.`],
  // Of this page's own making, see live.js.
  gap: () => ["warn", "server", "Some events before this are not known any more."],
  restarted: (d) => ["warn", "server", `The server has restarted${d.version ? ` (version ${plain(d.version)})` : ""}.`],
};

/** The events that an EventSource is asked for, by name. */
export const TYPES = Object.keys(SENTENCES).filter((type) => type !== "gap" && type !== "restarted");

/** What the events may be filtered by. */
export const KINDS = ["workers", "clients", "refusals", "broadcasts", "server"];

/**
 * @param {{type: string, data: any}} event
 * @returns {{tone: "" | "ok" | "warn" | "bad", kind: string, text: string}}
 */
export function sentence({ type, data }) {
  const [tone, kind, text] = SENTENCES[type]?.(data) ?? ["", "server", `${plain(type)} ${plain(JSON.stringify(data))}`];
  return { tone, kind, text };
}

/** Events of these types may come each second, and mean the same as the one before. */
const REPEATED = new Set(["clients-slow", "requests-refused", "messages-refused"]);

/**
 * The newest events, `most` of them; those that only repeat one of the minute after them are counted there instead.
 * @param {{id: string, type: string, time: number, data: any}[]} events newest first
 * @returns {{event: any, more: number, since: number}[]} `more`: how many more of its type there were since `since`
 */
export function condensed(events, most) {
  const out = [];
  const newest = new Map();
  for (const event of events) {
    const held = REPEATED.has(event.type) ? newest.get(event.type) : undefined;
    if (held && held.since - event.time < 60) {
      held.more += 1;
      held.since = event.time;
      continue;
    }
    if (out.length === most) break;
    const entry = { event, more: 0, since: event.time };
    out.push(entry);
    newest.set(event.type, entry);
  }
  return out;
}
