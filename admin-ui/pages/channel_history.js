import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { bytes, clock, counted } from "../format.js";
import { parseExact } from "../jsontext.js";
import { useLoad } from "../loading.js";
import { isMailbox } from "../names.js";
import { useMayChange } from "../session.js";
import { serverNow } from "../clock.js";
import { Button, ConfirmDialog, Copy, EmptyState, ErrorNotice, html, Json, Name, Section, Table, Time, toast } from "../ui/kit.js";

const PAGE = 50;
const EVERY_S = 4;
/** Characters of a message in its line. */
const FIRST = 240;

/**
 * What is kept of a channel, the newest first, and older on demand. What comes later is announced, and moves nothing.
 * @param {{name: string, turn?: number, waiting?: boolean, title?: string, onCleared?: () => void}} props
 *   `turn`: is read anew when it changes; `waiting`: of a mailbox only what waits
 */
export function History({ name, turn = 0, waiting = false, title = "History", onCleared }) {
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(false);
  const { rows, more, problem, loading, at, older, reload } = useHistory(name, waiting, turn);
  // What waits is counted by the page around, which changes the turn.
  const newer = useNewer(name, waiting ? null : rows, at);
  const fresh = newer && rows?.length > 0;
  // Where there is nothing, nothing is moved by what comes.
  useEffect(() => {
    if (newer && !fresh) reload();
  }, [newer, fresh]);
  const end = (result) => {
    setAsking(false);
    if (!result) return;
    toast(`${counted(result.removed, "message")} removed.`);
    onCleared?.();
  };
  const actions = html`
    <${Button} kind="quiet" onClick=${reload}>Reload</${Button}>
    ${mayChange && !waiting && html`<${Button} kind="quiet" disabled=${!rows?.length} onClick=${() => setAsking(true)}>Clear history…</${Button}>`}
  `;
  return html`<${Section} title=${title} note=${at ? `as of ${clock(at)}, the newest first` : ""} actions=${actions}>
    ${fresh && html`<p class="history-fresh"><${Button} onClick=${reload}>Show what has come since</${Button}></p>`}
    <div class="history">
      <${Table} label=${title} columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.id} loading=${loading}
        problem=${rows?.length ? null : problem} onRetry=${reload} empty=${html`<${Nothing} name=${name} waiting=${waiting} />`} />
    </div>
    ${rows?.length > 0 && problem && html`<${ErrorNotice} problem=${problem} onRetry=${more ? older : reload} />`}
    ${rows?.length > 0 && html`<div class="pager">
      ${more && html`<${Button} busy=${loading} onClick=${older}>Load older</${Button}>`}
      <span>${counted(rows.length, "message")}${more ? "; there are older ones" : rows.length > PAGE ? ", which is all that is kept" : ""}</span>
    </div>`}
    ${asking && html`<${ClearDialog} name=${name} onClose=${end} />`}
  </${Section}>`;
}

const COLUMNS = [
  { key: "id", label: "Position", short: true, cell: (row) => html`<code class="history-id">${row.id}</code>` },
  { key: "time", label: "Time", short: true, cell: (row) => html`<${Time} at=${row.time} focusable=${false} />` },
  { key: "bytes", label: "Size", numeric: true, cell: (row) => bytes(row.bytes) },
  { key: "data", label: "Data", wide: true, cell: (row) => html`<${Json} text=${row.text} line first=${FIRST} />` },
  { key: "copy", label: "Copy", hideLabel: true, short: true, cell: (row) => html`<${Copy} text=${row.text} label="Copy" />` },
];

function rowsOf(told) {
  const size = new TextEncoder();
  return told.messages.map((message) => {
    const text = JSON.stringify(message.data);
    return { id: message.id, time: message.time, text, bytes: size.encode(text).length };
  });
}

async function page(name, waiting, before, signal) {
  const query = { since: waiting ? "" : "oldest", reverse: 1, limit: PAGE, before };
  const told = await api.get(api.path("channels", name, "history"), { query, signal, parse: parseExact });
  return { rows: rowsOf(told), more: told.more, at: serverNow() };
}

/** What the history of a channel asks for as it opens. */
export const newestOf = (name, waiting = false, turn = 0) => ({
  key: `history ${JSON.stringify([name, waiting, turn])}`,
  load: (signal) => page(name, waiting, "", signal),
});

/** The pages that were read so far, as one list. */
function useHistory(name, waiting, turn) {
  const [asked, setAsked] = useState({ busy: false, problem: null });
  const first = useLoad(newestOf(name, waiting, turn), { keep: true });
  const older = async () => {
    const shown = first.data;
    setAsked({ busy: true, problem: null });
    try {
      const next = await page(name, waiting, shown.rows.at(-1).id);
      // Unless it was read anew meanwhile.
      first.set((now) => (now === shown ? { ...now, rows: [...now.rows, ...next.rows], more: next.more } : now));
      setAsked({ busy: false, problem: null });
    } catch (problem) {
      setAsked({ busy: false, problem });
    }
  };
  const { data, problem, loading, reload } = first;
  return {
    rows: data?.rows ?? null, more: data?.more ?? false, at: data?.at ?? null,
    problem: problem ?? asked.problem, loading: loading || asked.busy, older, reload,
  };
}

/** Whether something newer than the rows is kept; once it is known it is not asked again. */
function useNewer(name, rows, at) {
  const [newer, setNewer] = useState(false);
  const newest = rows?.[0]?.id ?? "oldest";
  useEffect(() => setNewer(false), [name, at]);
  useEffect(() => {
    if (!rows || newer) return undefined;
    const control = new AbortController();
    const look = async () => {
      if (document.hidden) return;
      try {
        const query = { since: newest, limit: 1 };
        const told = await api.get(api.path("channels", name, "history"), { query, signal: control.signal });
        if (told.messages.length) setNewer(true);
      } catch {
        // The head of the page says what is wrong.
      }
    };
    const timer = setInterval(look, EVERY_S * 1000);
    return () => {
      clearInterval(timer);
      control.abort();
    };
  }, [name, newest, at, newer]);
  return newer;
}

function Nothing({ name, waiting }) {
  if (waiting) return html`<${EmptyState} title="Nothing waits." />`;
  if (isMailbox(name)) return html`<${EmptyState} title="Nothing is kept in this mailbox." />`;
  return html`<${EmptyState} title="Nothing is kept of this channel.">
    How long and how many messages are kept say the settings history_s and history_messages, or the ttl of a message.
  </${EmptyState}>`;
}

function ClearDialog({ name, onClose }) {
  const mailbox = isMailbox(name);
  return html`<${ConfirmDialog} title=${mailbox ? "Clear this mailbox?" : "Clear the history of this channel?"} verb=${mailbox ? "Clear mailbox" : "Clear history"}
    deed=${() => api.del(api.path("channels", name, "history"))} onClose=${onClose}>
    <p>All that is kept of <${Name} name=${name} /> by now is removed${mailbox ? ", also what waits for its client and was not delivered" : ""}. It cannot be brought back.</p>
    <p>Who resumes from before is told of a gap. Connections are told nothing, and what is on its way may still arrive.</p>
  </${ConfirmDialog}>`;
}
