import { useMemo, useState } from "preact/hooks";
import { exact } from "../format.js";
import { events } from "../live.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { sentence } from "../sentences.js";
import { useStore } from "../store.js";
import { Button, EmptyState, html, Json, PageHead, SearchField, Segmented, State, Time } from "../ui/kit.js";

/** Rows that are drawn at once, and with each press more. */
const STEP = 100;
const RESTARTS = new Set(["worker-up", "worker-down", "worker-restart", "restarted"]);
const ofKind = (kind) => (event) => sentenceOf(event).kind === kind;

/** Value in the address -> what it is called, and which events it lets through. */
const FILTERS = {
  "": ["All", () => true],
  restarts: ["Restarts", (event) => RESTARTS.has(event.type)],
  workers: ["Workers", ofKind("workers")],
  clients: ["Slow clients", ofKind("clients")],
  refusals: ["Refused", ofKind("refusals")],
  broadcasts: ["Broadcasts", ofKind("broadcasts")],
};

// An event does not change, and neither does what is said of it.
const said = new WeakMap();

function sentenceOf(event) {
  if (!said.has(event)) said.set(event, sentence(event));
  return said.get(event);
}

export function Events({ query }) {
  const all = useStore(events);
  const [stopped, setStopped] = useState(null);
  const [most, setMost] = useState(STEP);
  const { kind: wanted = "", text = "" } = query;
  const kind = Object.hasOwn(FILTERS, wanted) ? wanted : "";
  const fits = useMemo(() => matcher(kind, text), [kind, text]);
  const shown = (stopped ?? all).filter(fits);
  const fresh = stopped ? newer(all, stopped).filter(fits).length : 0;
  const change = (part) => {
    setMost(STEP);
    go(href("events", null, { kind, text, ...part }), { replace: true });
  };
  return html`<${PageHead} title="Events" about="What happened to workers, clients and messages: the last 1,000.">
      <${Button} aria-pressed=${stopped ? "true" : "false"} onClick=${() => setStopped(stopped ? null : all)}>${stopped ? "Go on" : "Pause"}</${Button}>
    </${PageHead}>
    <div class="filters">
      <${Segmented} label="Kind" value=${kind} onValue=${(value) => change({ kind: value })} options=${labels(stopped ?? all, text)} />
      <${SearchField} label="Filter by text" value=${text} onValue=${(value) => change({ text: value })} />
      <span class="filters-note" role="status">${stopped ? (fresh ? `Paused, ${fresh} new.` : "Paused.") : ""}</span>
    </div>
    ${shown.length === 0
      ? html`<${Nothing} isEmpty=${all.length === 0} onAll=${() => change({ kind: "", text: "" })} />`
      : html`<ol class="events" aria-label="Events, newest first">${shown.slice(0, most).map((event) => html`<${Event} key=${event.id} event=${event} />`)}</ol>`}
    ${shown.length > most && html`<${Button} onClick=${() => setMost(most + STEP)}>Show ${Math.min(STEP, shown.length - most)} more of ${shown.length - most}</${Button}>`}`;
}

function matcher(kind, text) {
  const wanted = text.toLowerCase();
  const [, ofFilter] = FILTERS[kind];
  return (event) => ofFilter(event) && (!wanted || sentenceOf(event).text.toLowerCase().includes(wanted) || event.type.includes(wanted));
}

function labels(all, text) {
  return Object.entries(FILTERS).map(([value, [label]]) => {
    const count = all.filter(matcher(value, text)).length;
    return [value, html`${label} <span class="muted">${count}</span>`];
  });
}

/** Of the newest first list those that were not there when it was stopped. */
function newer(all, stopped) {
  const known = new Set(stopped.map((event) => event.id));
  return all.filter((event) => !known.has(event.id));
}

function Nothing({ isEmpty, onAll }) {
  if (isEmpty) return html`<${EmptyState} title="Nothing has happened since the server started.">What happens from now on appears here by itself.</${EmptyState}>`;
  return html`<${EmptyState} title="No event is like that."><${Button} onClick=${onAll}>Show all</${Button}></${EmptyState}>`;
}

function Event({ event }) {
  const [open, setOpen] = useState(false);
  const { tone, text } = sentenceOf(event);
  return html`<li class="event">
    <${Time} at=${event.time} focusable=${false} />
    <span class="event-text"><${State} tone=${tone}><span class="event-sentence">${text}</span></${State}></span>
    <button type="button" class="button is-quiet" aria-expanded=${open ? "true" : "false"} aria-label=${`Details: ${text}`} onClick=${() => setOpen(!open)}>Details</button>
    ${open && html`<div class="event-more"><p class="muted">${exact(event.time)}, ${event.type}</p><${Json} value=${event.data} /></div>`}
  </li>`;
}
