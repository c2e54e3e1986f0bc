import { html } from "../html.js";

/** A mark and a word: html`<${State} tone="ok">up</${State}>`. Tones: "", ok, warn, bad; the mark has another shape too. */
export function State({ tone = "", children }) {
  return html`<span class=${`state ${tone ? `is-${tone}` : ""}`}>${children}</span>`;
}

/** A short word in a frame: a transport, a scope. */
export function Tag({ children }) {
  return html`<span class="tag">${children}</span>`;
}

const WORKER_TONES = { up: "ok", starting: "warn", restarting: "warn", draining: "warn", drained: "warn", unlinked: "bad", down: "bad" };
const BROADCAST_TONES = { running: "ok", paused: "warn", cancelled: "", done: "" };

/** The state of a worker, as the API names it. */
export function WorkerState({ state }) {
  return html`<${State} tone=${WORKER_TONES[state] ?? ""}>${state}</${State}>`;
}

/** The state of a broadcast, as the API names it. */
export function BroadcastState({ state }) {
  return html`<${State} tone=${BROADCAST_TONES[state] ?? ""}>${state}</${State}>`;
}
