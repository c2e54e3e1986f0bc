import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { serverNow } from "../clock.js";
import { bytes, clock, counted, number } from "../format.js";
import { useLoad } from "../loading.js";
import { mailboxOf, spelled } from "../names.js";
import { remember } from "../recent_clients.js";
import { href } from "../router.js";
import { useMayChange } from "../session.js";
import { Button, EmptyState, ErrorNotice, html, Loading, Name, Notice, PageHead, Section, sentenceOf, Stat, State, Stats, Table, Tag, Time } from "../ui/kit.js";
import { History } from "./channel_history.js";
import { Publish } from "./channel_publish.js";
import { CutOff } from "./client_cut.js";

const EVERY_S = 3;
/** The API tells so many of each worker. */
const MOST_TOLD = 100;
/** Channels of a connection that are shown at once. */
const FIRST_CHANNELS = 12;

const clientNamed = (name) => ({ key: `client ${name}`, load: (signal) => look(name, signal) });

export function Client({ name }) {
  const mayChange = useMayChange();
  const [turn, setTurn] = useState(0);
  const [cutting, setCutting] = useState(false);
  const { data, problem, loading, reload } = useLoad(clientNamed(name), { everyS: EVERY_S });
  const since = useChange(data === null ? null : data.connections.length > 0);
  const known = data !== null;
  useEffect(() => {
    if (known) remember(name);
  }, [name, known]);
  const changed = () => {
    reload();
    setTurn((count) => count + 1);
  };
  const head = html`<${PageHead} title=${`Client ${spelled(name)}`} show=${html`<${Name} name=${name} most=${0} copy />`}
    about=${html`<a href=${href("channels", mailboxOf(name))}>Its mailbox</a> as a channel, with history and live tail`}>
    ${mayChange && known && html`<${Button} kind="danger" onClick=${() => setCutting(true)}>Cut off…</${Button}>`}
  </${PageHead}>`;
  if (problem?.code === "bad-name") {
    return html`${head}<${EmptyState} title="No client can have this id.">${sentenceOf(problem.detail)}</${EmptyState}>`;
  }
  const close = (done) => {
    setCutting(false);
    if (done) changed();
  };
  return html`${head}
    ${problem && html`<div class="banner"><${ErrorNotice} problem=${problem} onRetry=${reload} what=${data ? "What is shown is old." : ""} /></div>`}
    ${!known && !problem && html`<${Loading} />`}
    ${known && html`
      <${Standing} name=${name} client=${data} since=${since} />
      <div class=${`channel-parts ${mayChange ? "" : "is-alone"}`}>
        <div class="channel-main">
          <${Connections} client=${data} loading=${loading} />
          ${data.waiting > 0 || turn > 0 ? html`<${History} key="waits" name=${mailboxOf(name)} waiting turn=${`${turn}/${data.waiting}`} title="What waits for it" />` : null}
        </div>
        ${mayChange && html`<div class="channel-side"><${Section} title="Send it a message"><${Publish} target=${{ client: name }} onPublished=${changed} /></${Section}></div>`}
      </div>
      ${cutting && html`<${CutOff} name=${name} count=${data.connections.length} onClose=${close} />`}
    `}`;
}

Client.asks = ({ name }) => [clientNamed(name)];

/** A client as the API tells it; one that is not connected, and for which nothing waits, has no connections. */
async function look(name, signal) {
  const gone = { client: name, waiting: 0, connections: [] };
  // The mailbox is asked first: to find nobody is no error, but a browser writes down each 404 as one.
  try {
    const box = await api.get(api.path("channels", mailboxOf(name)), { signal });
    if (!box.subscribers && !box.waiting) return gone;
    return await api.get(api.path("clients", name), { signal });
  } catch (problem) {
    if (problem.status === 404 && problem.code === "not-found") return gone;
    if (problem.code === "bad-name") problem.detail = problem.detail.replace(/^a channel\b/, "an id");
    throw problem;
  }
}

/** When `value` was seen to change: {from, at}, or null. */
function useChange(value) {
  const [change, setChange] = useState(null);
  const last = useRef(null);
  useEffect(() => {
    if (value !== null && last.current !== null && value !== last.current) setChange({ from: last.current, at: serverNow() });
    last.current = value;
  }, [value]);
  return change;
}

function Standing({ name, client, since }) {
  const { connections, waiting } = client;
  const online = connections.length > 0;
  const backlog = connections.reduce((sum, each) => sum + each.backlog_bytes, 0);
  return html`
    <div role="status">
      ${!online && since && html`<div class="banner"><${Notice} tone="warn" role="note">It went offline at ${clock(since.at)}: no connection is left.
        <span class="notice-detail">A client that polls is not connected between two polls.</span></${Notice}></div>`}
      ${!online && !since &&
      html`<div class="banner"><${Notice} role="note">
        <${Name} name=${name} /> is not connected${waiting ? `, and ${counted(waiting, "message waits", "messages wait")} for it` : ", and nothing waits for it"}.
        <span class="notice-detail">A client that polls is not connected between two polls. When it connects, this page shows it.</span>
      </${Notice}></div>`}
      ${online && since && html`<div class="banner"><${Notice} role="note">It came online at ${clock(since.at)}.</${Notice}></div>`}
    </div>
    <${Stats}>
      <div class="stat"><div class="stat-label">State</div><div class="stat-value"><${State} tone=${online ? "ok" : ""}>${online ? "online" : "offline"}</${State}></div></div>
      <${Stat} label="Connections" value=${number(connections.length)} />
      <${Stat} label="Waiting" value=${number(waiting)} note="messages not written to it yet" />
      <${Stat} label="Backlog" value=${bytes(backlog)} note="written, and not taken by its side yet" />
    </${Stats}>`;
}

function Connections({ client, loading }) {
  const { connections } = client;
  const perWorker = new Map();
  for (const { worker } of connections) perWorker.set(worker, (perWorker.get(worker) ?? 0) + 1);
  const cut = [...perWorker.values()].some((count) => count >= MOST_TOLD);
  return html`<${Section} title="Connections">
    <${Table} label="Connections" columns=${COLUMNS} rows=${connections} rowKey=${(row) => `${row.worker} ${row.transport} ${row.address} ${row.since}`}
      loading=${loading} empty=${html`<p class="muted">None.</p>`} />
    ${cut && html`<p class="muted">Only the first ${MOST_TOLD} of each worker are told. <a href=${href("channels", mailboxOf(client.client))}>Its mailbox</a> counts all.</p>`}
  </${Section}>`;
}

const COLUMNS = [
  { key: "address", label: "Address", short: true, cell: (row) => html`<span class="mono">${row.address ?? "–"}</span>` },
  { key: "transport", label: "Transport", short: true, cell: (row) => html`<${Tag}>${row.transport}</${Tag}>` },
  { key: "worker", label: "Worker", cell: (row) => html`<a href=${href("workers")}>${row.worker}</a>` },
  { key: "since", label: "Since", short: true, cell: (row) => html`<${Time} at=${row.since} />` },
  { key: "channels", label: "Channels", wide: true, cell: (row) => html`<${ChannelNames} names=${row.channels} />` },
  { key: "backlog", label: "Backlog", numeric: true, cell: (row) => bytes(row.backlog_bytes) },
];

function ChannelNames({ names }) {
  const [all, setAll] = useState(false);
  const shown = all ? names : names.slice(0, FIRST_CHANNELS);
  return html`<span class="channel-names">
    ${shown.map((each) => html`<${Name} key=${each} name=${each} to="channels" />`)}
    ${names.length > shown.length && html`<${Button} kind="quiet" onClick=${() => setAll(true)}>and ${number(names.length - shown.length)} more</${Button}>`}
  </span>`;
}
