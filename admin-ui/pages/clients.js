import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { number } from "../format.js";
import { useLoad } from "../loading.js";
import { clientOf, mailboxOf, spelled } from "../names.js";
import { go } from "../navigation.js";
import { recent } from "../recent_clients.js";
import { href } from "../router.js";
import { useStore } from "../store.js";
import { Button, EmptyState, Field, html, Input, Name, PageHead, Pager, Section, Table, useSlash } from "../ui/kit.js";

const PAGE = 50;
const EVERY_S = 4;
const REST_MS = 200;

const listed = ({ prefix = "", after = "" }) => ({
  key: `clients ${JSON.stringify([prefix, after])}`,
  load: (signal) => api.get("/channels", { query: { prefix: mailboxOf(prefix), after, limit: PAGE }, signal }),
});

export function Clients({ query }) {
  const { prefix = "", after = "" } = query;
  const at = (changed, options) => go(href("clients", null, { prefix, ...changed }), options);
  const { data, problem, loading, reload } = useLoad(listed(query), { everyS: EVERY_S, keep: true });
  const rows = problem?.status === 400 ? null : (data?.channels ?? null);
  const empty = html`<${EmptyState} title=${prefix ? `No client that is connected or waited for begins with ${spelled(prefix)}.` : "No client is connected, and nothing waits for one."}>
    A client is listed while it is connected, or while a message to it is kept. One that polls is not connected between two polls; by its id it is found all the same.
  </${EmptyState}>`;
  return html`<${PageHead} title="Clients" about="A client is found by its id, exactly as it names itself. While you type, those are listed whose ids begin so." />
    <${Find} prefix=${prefix} onPrefix=${(text) => at({ prefix: text }, { replace: true })} />
    <div class="clients-parts">
      <${Section} title=${prefix ? html`Clients that begin with <${Name} name=${prefix} />` : "Clients that are connected or waited for"}>
        <div class="rows-lead">
          <${Table} label="Clients" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.channel} loading=${loading} problem=${problem} onRetry=${reload} empty=${empty} />
        </div>
        ${rows && html`<${Pager} first=${!after} next=${data.after} onFirst=${() => at({})} onNext=${(cursor) => at({ after: cursor })} />`}
      </${Section}>
      <${Section} title="Looked at in this tab"><${Recent} /></${Section}>
    </div>`;
}

Clients.asks = ({ query }) => [listed(query)];

const COLUMNS = [
  { key: "client", label: "Client", wide: true, cell: (row) => html`<${Name} name=${clientOf(row.channel)} to="clients" most=${80} />` },
  { key: "connections", label: "Connections", numeric: true, cell: (row) => number(row.subscribers) },
  { key: "messages", label: "Messages kept", numeric: true, cell: (row) => number(row.messages) },
];

/** The id of a client: Enter opens just that one, and while one types those are listed that begin so. */
function Find({ prefix, onPrefix }) {
  const [text, setText] = useState(prefix);
  const [error, setError] = useState("");
  const form = useRef(null);
  const timer = useRef(0);
  const told = useRef(onPrefix);
  told.current = onPrefix;
  const typed = (value) => {
    setText(value);
    setError("");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => told.current(value), value ? REST_MS : 0);
  };
  // The way back leads to what was searched for before.
  useEffect(() => {
    if (!form.current.contains(document.activeElement)) setText(prefix);
  }, [prefix]);
  useSlash(() => form.current.querySelector("input"));
  useEffect(() => () => clearTimeout(timer.current), []);
  const open = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    if (text) go(href("clients", text));
    else setError("Write the id of a client.");
  };
  return html`<form class="find-client" ref=${form} onSubmit=${open}>
    <${Field} label="Client id" error=${error}>
      <${Input} type="search" value=${text} onValue=${typed} aria-keyshortcuts="/" dir="auto" />
    </${Field}>
    <${Button} type="submit" kind="primary">Open</${Button}>
  </form>`;
}

function Recent() {
  const ids = useStore(recent);
  if (!ids.length) return html`<p class="muted">None yet.</p>`;
  return html`<ul class="plain-list">${ids.map((id) => html`<li key=${id}><${Name} name=${id} to="clients" /></li>`)}</ul>`;
}
