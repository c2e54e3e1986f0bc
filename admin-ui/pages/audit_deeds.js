import { counted, duration, number } from "../format.js";
import { html, Name } from "../ui/kit.js";

const to = (channel) => (channel === "*" ? "everyone" : html`the channel <${Name} name=${channel} to="channels" />`);
const names = (list, word) => (list?.length ? [word, list] : null);

/** Action of the audit log -> what was done, as a sentence. */
const DEEDS = {
  disconnect: (e) => html`Cut off the client <${Name} name=${e.client} to="clients" />: ${counted(e.disconnected, "connection")}${e.reconnect ? ", which may come back" : e.block_s ? `, kept out for ${duration(e.block_s)}` : ", told to stay away"}.`,
  "push-everyone": (e) => html`Pushed a message to everyone${e.id ? html`: <span class="mono">${e.id}</span>` : ""}.`,
  "clear-history": (e) => html`Dropped the history of ${to(e.channel)}: ${counted(e.removed, "message")}.`,
  "restart-worker": (e) => html`Restarted worker ${e.worker}.`,
  "drain-worker": (e) => html`Drained worker ${e.worker} at ${number(e.per_s)} connections a second.`,
  "undrain-worker": (e) => html`Brought worker ${e.worker} back.`,
  "sign-in": (e) => (e.result === "done" ? html`Signed in to the console, scope ${e.scope}.` : html`Tried to sign in to the console.${e.passed_over > 0 ? ` So did ${counted(e.passed_over, "other attempt")} of this address before.` : ""}`),
  "sign-out": () => "Signed out of the console.",
  "reload-keys": (e) => html`Read the keys anew${changedKeys(e)}${e.why ? `: ${e.why}` : ""}.`,
  broadcast: (e) => html`Broadcast to ${to(e.channel)}: ${counted(e.connections, "connection")} at ${number(e.per_s)} a second.`,
  "pause-broadcast": (e) => html`Paused the broadcast <span class="mono">${e.id}</span>.`,
  "resume-broadcast": (e) => html`Resumed the broadcast <span class="mono">${e.id}</span>.`,
  "cancel-broadcast": (e) => html`Cancelled the broadcast <span class="mono">${e.id}</span>${e.written === undefined ? "" : `, written to ${counted(e.written, "connection")}`}.`,
};

function changedKeys(entry) {
  const some = [names(entry.added, "added"), names(entry.removed, "removed"), names(entry.changed, "changed")].filter(Boolean);
  return some.map(([word, list], i) => html`${i === 0 ? ": " : "; "}${word} ${list.map((name, k) => html`${k > 0 ? ", " : ""}<${Name} name=${name} />`)}`);
}

/** What was done; of an action that this version does not know its name. */
export function Deed({ entry }) {
  return DEEDS[entry.action]?.(entry) ?? html`<span class="mono">${entry.action}</span>`;
}

/** The entry as it stands in the log, without what this page has added. */
export function restOf({ at, line, ...entry }) {
  return entry;
}
