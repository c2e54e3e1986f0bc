import { useMemo, useState } from "preact/hooks";
import * as api from "../api.js";
import { counted, exact, number } from "../format.js";
import { useDeed, useLoad } from "../loading.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { mayChange, useMayChange } from "../session.js";
import { Button, EmptyState, ErrorNotice, Field, html, Json, Name, PageHead, SearchField, Select, State, Table, Time } from "../ui/kit.js";
import { Deed, restOf } from "./audit_deeds.js";

const PAGE = 100;
const NEWEST = { key: "audit", load: (signal) => api.get("/audit", { query: { limit: PAGE }, signal }) };
/** Who it was when it was no key. */
const MACHINE = "the machine itself";
/** Who it was when it came from elsewhere. */
const NOBODY = "no valid key";

const who = (entry) => entry.key ?? (entry.address === null ? MACHINE : NOBODY);

export function Audit({ query }) {
  // The scope that may change something is also the one that may read who has.
  if (useMayChange()) return html`<${Log} query=${query} />`;
  return html`<${PageHead} title="Audit" />
    <${EmptyState} title="The audit log is for keys of scope admin.">You are signed in with a key of scope read.</${EmptyState}>`;
}

Audit.asks = () => (mayChange() ? [NEWEST] : []);

function Log({ query }) {
  const { entries, before, unreadable, problem, loading, reload, older } = useEntries();
  const { action = "", key = "", text = "" } = query;
  const fits = useMemo(() => matcher(action, key, text), [action, key, text]);
  const shown = entries?.filter(fits) ?? null;
  const change = (part) => go(href("audit", null, { action, key, text, ...part }), { replace: true });
  const filtered = Boolean(action || key || text);
  return html`<${PageHead} title="Audit" about="Who has changed what, newest first.">
      <${Button} busy=${loading && entries !== null} onClick=${reload}>Refresh</${Button}>
    </${PageHead}>
    <div class="filters">
      <${Field} label="Action" hideLabel><${Select} value=${action} onValue=${(value) => change({ action: value })} options=${choices("All actions", entries, (entry) => entry.action, action)} /></${Field}>
      <${Field} label="Key" hideLabel><${Select} value=${key} onValue=${(value) => change({ key: value })} options=${choices("All keys", entries, who, key)} /></${Field}>
      <${SearchField} label="Filter by text" value=${text} onValue=${(value) => change({ text: value })} />
    </div>
    <div class="audit"><${Table} label="Changes" columns=${COLUMNS} rows=${shown} rowKey=${(entry) => entry.at} loading=${loading} problem=${problem} onRetry=${reload}
      empty=${filtered && entries?.length > 0 ? "No loaded entry is like that." : "Nothing has been changed yet."} /></div>
    ${entries?.length > 0 && html`<${Foot} loaded=${entries.length} shown=${shown.length} filtered=${filtered} unreadable=${unreadable} before=${before} older=${older} />`}`;
}

function Foot({ loaded, shown, filtered, unreadable, before, older }) {
  const oldest = before ? "" : " That is all that the log has.";
  return html`<div class="pager">
      ${before && html`<${Button} busy=${older.busy} onClick=${older.load}>Load older</${Button}>`}
      <span role="status">
        ${filtered ? `${number(shown)} of the ${number(loaded)} entries that are loaded; filters look through these only.` : `${counted(loaded, "entry is", "entries are")} loaded.`}${oldest}
        ${unreadable > 0 && ` ${counted(unreadable, "line", "lines")} could not be read.`}
      </span>
    </div>
    <${ErrorNotice} problem=${older.problem} onRetry=${older.load} />`;
}

/** The newest entries, and older ones as they are asked for. A refresh keeps what was loaded when it joins. */
function useEntries() {
  const first = useLoad(NEWEST, { join });
  const deed = useDeed();
  const state = first.data;
  const load = () =>
    deed.run(async () => {
      const answer = await api.get("/audit", { query: { limit: PAGE, before: state.before } });
      // Refreshed meanwhile, it may begin anew; then what was asked for does not follow on its end.
      first.set((now) => (now.before === state.before ? longer(now, answer) : now));
    });
  return { entries: state?.entries ?? null, before: state?.before, unreadable: state?.unreadable ?? 0, problem: first.problem, loading: first.loading, reload: first.reload, older: { load, busy: deed.busy, problem: deed.problem } };
}

function join(answer, known) {
  if (!known) return start(answer);
  const newest = known.entries[0]?.line;
  const fresh = answer.entries.findIndex((entry) => JSON.stringify(entry) === newest);
  if (fresh < 0) return start(answer);
  const added = numbered(answer.entries.slice(0, fresh), known.count);
  return { ...known, entries: [...added, ...known.entries], count: known.count + fresh };
}

function longer(known, answer) {
  return {
    entries: [...known.entries, ...numbered(answer.entries, known.count)], before: answer.before,
    unreadable: known.unreadable + answer.unreadable, count: known.count + answer.entries.length,
  };
}

const start = (answer) => ({ entries: numbered(answer.entries, 0), before: answer.before, unreadable: answer.unreadable, count: answer.entries.length });

/** Entries have no ids of their own; two may be alike. `line`: as text, to be searched and compared. */
function numbered(entries, from) {
  return entries.map((entry, i) => ({ ...entry, at: from + i, line: JSON.stringify(entry) }));
}

function matcher(action, key, text) {
  const wanted = text.toLowerCase();
  return (entry) => (!action || entry.action === action) && (!key || who(entry) === key) && (!wanted || entry.line.toLowerCase().includes(wanted));
}

function choices(all, entries, of, chosen) {
  const found = [...new Set([...(entries ?? []).map(of), ...(chosen ? [chosen] : [])])].sort();
  return [["", all], ...found.map((each) => [each, each])];
}

const COLUMNS = [
  { key: "time", label: "When", short: true, cell: (entry) => html`<${Time} at=${entry.time} focusable=${false} />` },
  { key: "key", label: "Who", short: true, cell: (entry) => (entry.key === null ? html`<span class="muted">${who(entry)}</span>` : html`<${Name} name=${entry.key} most=${32} />`) },
  { key: "deed", label: "What", wide: true, cell: (entry) => html`<${What} entry=${entry} />` },
  { key: "result", label: "Result", short: true, cell: (entry) => html`<${State} tone=${entry.result === "done" ? "ok" : "bad"}>${entry.result}</${State}>` },
  { key: "address", label: "From", short: true, cell: (entry) => html`<span class="mono">${entry.address ?? "–"}</span>` },
];

function What({ entry }) {
  const [open, setOpen] = useState(false);
  return html`<div><${Deed} entry=${entry} /> <button type="button" class="button is-quiet" aria-expanded=${open ? "true" : "false"} aria-label=${`Details of ${entry.action}, ${exact(entry.time)}`} onClick=${() => setOpen(!open)}>Details</button>
    ${open && html`<div class="audit-more"><p class="muted">${exact(entry.time)}</p><${Json} value=${restOf(entry)} /></div>`}</div>`;
}
