import * as api from "../api.js";
import { bytes, counted, isKnown, number, UNKNOWN } from "../format.js";
import { useLoad } from "../loading.js";
import { Button, EmptyState, ErrorNotice, html, Loading, PageHead, Section, Stat, State, Stats, Table } from "../ui/kit.js";

const DOCTOR = { key: "doctor", load: (signal) => api.get("/doctor", { signal }) };
const ABOUT = "What the server's machine allows. The command megacomet doctor tells the same there, for any number of connections, and changes what is low.";
/** State as the API names it -> tone. */
const TONES = { fine: "ok", low: "bad", "not changeable here": "bad", unknown: "" };

const isLow = (check) => TONES[check.state] === "bad";

export function Doctor() {
  const { data, problem, loading, reload } = useLoad(DOCTOR);
  return html`<${PageHead} title="Doctor" about=${ABOUT}><${Button} busy=${loading} onClick=${reload}>Refresh</${Button}></${PageHead}>
    <${ErrorNotice} problem=${problem} onRetry=${reload} />
    ${data ? html`<${Found} data=${data} />` : !problem && html`<${Loading} />`}`;
}

Doctor.asks = () => [DOCTOR];

function Found({ data }) {
  const low = data.checks.filter(isLow);
  const abouts = [...new Set(data.checks.map((check) => check.about))];
  return html`<${Figures} data=${data} low=${low} />
    ${low.length > 0 && html`<${Section} title="In the way" note=${low.length}><${Checks} label="In the way" rows=${low} /></${Section}>`}
    <${Later} told=${data.later} />
    <${Traces} data=${data} />
    <${Section} title="Memory" note=${`of ${counted(data.connections, "connection")}`}><${Memory} told=${data.forecast} /></${Section}>
    ${abouts.map((about) => html`<${Section} key=${about} title=${about}><${Checks} label=${about} rows=${data.checks.filter((check) => check.about === about)} /></${Section}>`)}`;
}

function Figures({ data: { connections, workers, forecast }, low }) {
  const fits = forecast.fits;
  return html`<${Stats}>
    <${Stat} label="Asked about" value=${number(connections)} note=${`connections on ${counted(workers, "worker")}`} />
    <${Stat} label="Fit now" value=${number(fits)} tone=${isKnown(fits) && fits < connections ? "bad" : ""}
      note=${forecast.first_bound && `first bound: ${forecast.first_bound}`} />
    <${Stat} label="Memory for them" value=${bytes(forecast.total_bytes)} note=${`of ${bytes(forecast.room_bytes)} to be had`} />
    <${Stat} label="In the way" value=${number(low.length)} tone=${low.length > 0 ? "bad" : ""} note="settings and limits" />
  </${Stats}>`;
}

function Checks({ label, rows }) {
  return html`<div class="settings"><${Table} label=${label} columns=${CHECKS} rows=${rows} rowKey=${(row) => row.name} /></div>`;
}

const CHECKS = [
  { key: "name", label: "Check", cell: (row) => html`<span><span class="mono settings-name">${row.name}</span> <${State} tone=${TONES[row.state] ?? ""}>${row.state}</${State}></span>` },
  { key: "value", label: "Value", cell: (row) => html`<span class="mono">${row.value || UNKNOWN}</span>` },
  { key: "needs", label: "Needed", cell: (row) => html`<span class="mono">${row.needs || UNKNOWN}</span>` },
  { key: "why", label: "Why", wide: true, cell: (row) => html`<span class="settings-meaning">${row.why} <span class="muted">${row.source}</span>${row.change && html`<br /><span class="mono">${row.change}</span>`}</span>` },
];

function Later({ told: { losses, unread } }) {
  const rows = [...losses, ...unread];
  return rows.length > 0 && html`<${Section} title="Lost at the next start" note="by files of sysctl.d that are read later than what --fix writes">
    <div class="settings"><${Table} label="Lost at the next start" columns=${LATER} rows=${rows} rowKey=${(row) => `${row.path} ${row.name}`} /></div>
  </${Section}>`;
}

const LATER = [
  { key: "path", label: "File", cell: (row) => html`<span class="mono settings-name">${row.path}</span>` },
  { key: "name", label: "Setting", cell: (row) => html`<span class="mono">${row.name || UNKNOWN}</span>` },
  { key: "value", label: "Set to", wide: true, cell: (row) => (row.why ? `not known: the file is ${row.why}` : html`<span class="mono">${row.value || "nothing"}</span>`) },
  { key: "wanted", label: "Wanted", cell: (row) => html`<span class="mono">${row.wanted || UNKNOWN}</span>` },
];

function Traces({ data: { traces, kernel_log: isRead } }) {
  const note = isRead ? "since the machine started, perhaps long ago" : "since the machine started; the kernel's log is closed to the server";
  return html`<${Section} title="Has run short" note=${note}>
    ${traces.length > 0
      ? html`<div class="settings"><${Table} label="Has run short" columns=${TRACES} rows=${traces} rowKey=${(row) => `${row.where} ${row.what}`} /></div>`
      : html`<${EmptyState} title="Nothing, as far as the kernel tells." />`}
  </${Section}>`;
}

const TRACES = [
  { key: "where", label: "Where", cell: (row) => html`<span class="mono settings-name">${row.where}</span>` },
  { key: "what", label: "What", cell: (row) => html`<span>${row.what}${row.last && html`<br /><span class="mono settings-zero">${row.last}</span>`}</span>` },
  { key: "count", label: "Times", numeric: true, cell: (row) => number(row.count) },
  { key: "do", label: "To do", wide: true, cell: (row) => html`<span class="settings-meaning">${row.do}</span>` },
];

function Memory({ told }) {
  const rows = [
    ...Object.entries(told.process_bytes).map(([name, value]) => ({ name: `Processes, all ${name}`, value })),
    { name: "Store, when full", value: told.store_bytes },
    { name: "Sockets in the kernel", value: told.kernel_bytes },
    { name: "A message to all, under way", value: told.under_way_bytes },
    { name: "In all, with the dearest", value: told.total_bytes },
  ];
  return html`<${Table} label="Memory" columns=${MEMORY} rows=${rows} rowKey=${(row) => row.name} />`;
}

const MEMORY = [
  { key: "name", label: "What", cell: (row) => row.name },
  { key: "value", label: "Bytes", numeric: true, cell: (row) => bytes(row.value) },
];
