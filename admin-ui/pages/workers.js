import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { BUSY, LATE_MS } from "../alarms.js";
import { serverNow } from "../clock.js";
import { bytes, counted, duration, millis, number, percent, rate } from "../format.js";
import { live } from "../live.js";
import { useLoad } from "../loading.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { useMayChange } from "../session.js";
import { useStore } from "../store.js";
import { Button, html, Loading, Meter, PageHead, sorted, Table, WorkerState } from "../ui/kit.js";
import { DrainDialog, RestartDialog } from "./worker_dialogs.js";
import { Drained, useBringBack } from "./worker_drains.js";

/** Worst first. */
const STATES = ["down", "unlinked", "restarting", "starting", "draining", "drained", "up"];
/** Key of a column -> what it is sorted by. */
const ORDER = {
  worker: (row) => row.worker, state: (row) => STATES.indexOf(row.state), open: (row) => row.open, accepts: (row) => row.accepts,
  out: (row) => row.out, cpu: (row) => row.cpu, lag: (row) => row.lag_ms, memory: (row) => row.memory, up: (row) => row.upS,
  restarts: (row) => row.restarts,
};

export function Workers({ query }) {
  const workers = useStore(live, (now) => now.frame?.workers ?? null);
  const mayChange = useMayChange();
  const [asking, setAsking] = useState(null);
  const told = useTold(workers);
  const place = useMarked(query.worker, workers !== null);
  if (!workers) return html`<${PageHead} title="Workers" /><${Loading} what="Waiting for the first figures" />`;
  const sort = { key: Object.hasOwn(ORDER, query.sort ?? "") ? query.sort : "worker", down: query.down === "1" };
  const onSort = ({ key, down }) => go(href("workers", null, { ...query, sort: key, down: down ? "1" : "" }), { replace: true });
  const rows = sorted(workers.map((each) => joined(each, told)), ORDER[sort.key], sort.down);
  const ask = (deed) => (row) => setAsking({ deed, worker: row.worker });
  const asked = asking && workers.find((each) => each.worker === asking.worker);
  const Dialog = asking?.deed === "drain" ? DrainDialog : RestartDialog;
  return html`<${PageHead} title="Workers" about=${summary(workers)} />
    <${Drained} workers=${workers} mayChange=${mayChange} onRestart=${ask("restart")} />
    <div class="workers" ref=${place}>
      <${Table} label="Workers" columns=${columnsOf(mayChange, ask("drain"), ask("restart"))} rows=${rows} rowKey=${(row) => row.worker}
        sort=${sort} onSort=${onSort} foot=${totals(rows)} marked=${(row) => String(row.worker) === query.worker} />
    </div>
    ${asked && html`<${Dialog} worker=${asked} workers=${workers} onClose=${() => setAsking(null)} />`}`;
}

const LIST = { key: "workers", load: async (signal) => ({ at: serverNow(), list: await api.get("/workers", { signal }) }) };

/** What only /api/workers knows, by number: asked for again when a process has ended, and now and then. */
function useTold(workers) {
  const { data, reload } = useLoad(LIST, { everyS: 15 });
  const processes = workers?.map((each) => `${each.pid}+${each.restarts}`).join();
  const before = useRef(processes);
  useEffect(() => {
    if (before.current !== undefined && before.current !== processes) reload();
    before.current = processes;
  }, [processes]);
  return new Map(data?.list.map((each) => [each.worker, { ...each, since: each.uptime_s === null ? null : data.at - each.uptime_s }]));
}

function joined(worker, told) {
  const more = told.get(worker.worker);
  const same = more && more.pid === worker.pid && more.since !== null;
  return { ...worker, upS: same ? serverNow() - more.since : null, lastEnd: worker.restarts > 0 ? (more?.last_end ?? null) : null };
}

/** Brings the row into sight that the address names, once. */
function useMarked(number, shown) {
  const place = useRef(null);
  useEffect(() => {
    if (number && shown) place.current?.querySelector("tr[aria-current]")?.scrollIntoView({ block: "center" });
  }, [number, shown]);
  return place;
}

function summary(workers) {
  const counts = STATES.map((state) => [state, workers.filter((each) => each.state === state).length]).reverse();
  return `${counted(workers.length, "worker")}: ${counts.filter(([, count]) => count > 0).map(([state, count]) => `${number(count)} ${state}`).join(", ")}.`;
}

const high = (isHigh, text) => html`<span class=${isHigh ? "is-high" : ""}>${text}</span>`;

function columnsOf(mayChange, onDrain, onRestart) {
  const figures = [
    { key: "worker", label: "Worker", numeric: true, sortable: true, cell: (row) => row.worker },
    { key: "state", label: "State", short: true, sortable: true, cell: (row) => html`<${WorkerState} state=${row.state} />` },
    { key: "open", label: "Connections", numeric: true, sortable: true, cell: (row) => html`<${Load} open=${row.open} room=${row.room} />` },
    { key: "accepts", label: "Accepts", numeric: true, sortable: true, cell: (row) => rate(row.accepts) },
    { key: "out", label: "Out", numeric: true, sortable: true, cell: (row) => rate(row.out) },
    { key: "cpu", label: "CPU", numeric: true, sortable: true, cell: (row) => high(row.cpu > BUSY, percent(row.cpu)) },
    { key: "lag", label: "Loop lag", numeric: true, sortable: true, cell: (row) => high(row.lag_ms > LATE_MS, millis(row.lag_ms)) },
    { key: "memory", label: "Memory", numeric: true, sortable: true, cell: (row) => bytes(row.memory) },
    { key: "up", label: "Up for", numeric: true, sortable: true, cell: (row) => duration(row.upS) },
    { key: "restarts", label: "Restarts", numeric: true, sortable: true, cell: (row) => number(row.restarts) },
    { key: "end", label: "Last end", wide: true, cell: (row) => row.lastEnd && html`<span class="workers-end">${row.lastEnd}</span>` },
  ];
  if (!mayChange) return figures;
  return [...figures, { key: "deeds", label: "Actions", short: true, hideLabel: true, cell: (row) => html`<${Deeds} row=${row} onDrain=${onDrain} onRestart=${onRestart} />` }];
}

function Load({ open, room }) {
  return html`<span class="workers-load" title=${`${number(open)} of ${number(room)}`}>
    <${Meter} label="Open of its room" parts=${[[open, open > room * BUSY ? "warn" : "accent"]]} whole=${room} />
    <span>${number(open)}</span>
    <span class="muted">of ${number(room)}</span>
  </span>`;
}

// The two buttons stay where they are whatever the state, and so does the focus.
function Deeds({ row, onDrain, onRestart }) {
  const { worker, state, drain, pid } = row;
  const { busy, back } = useBringBack(worker);
  const verb = drain ? "Bring back" : "Drain";
  return html`<span class="workers-deeds">
    <${Button} kind="quiet" busy=${busy} disabled=${!drain && state !== "up"} aria-label=${`${verb} worker ${worker}`} onClick=${drain ? back : () => onDrain(row)}>${verb}</${Button}>
    <${Button} kind="quiet" disabled=${pid === null || state === "restarting"} aria-label=${`Restart worker ${worker}`} onClick=${() => onRestart(row)}>Restart</${Button}>
  </span>`;
}

function totals(rows) {
  const sum = (of) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);
  const worst = rows.reduce((most, row) => (row.lag_ms === null ? most : Math.max(most ?? 0, row.lag_ms)), null);
  return {
    worker: "All", open: html`<${Load} open=${sum(ORDER.open)} room=${sum((row) => row.room)} />`, accepts: rate(sum(ORDER.accepts)), out: rate(sum(ORDER.out)),
    cpu: percent(sum(ORDER.cpu)), lag: html`<span title="the worst of all">${millis(worst)}</span>`, memory: bytes(sum(ORDER.memory)),
    restarts: number(sum(ORDER.restarts)),
  };
}
