import { useMemo } from "preact/hooks";
import * as api from "../api.js";
import { bytes, duration, number } from "../format.js";
import { useLoad } from "../loading.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { EmptyState, ErrorNotice, html, Loading, PageHead, SearchField, Section, Table, Tag } from "../ui/kit.js";

const BUILT_IN = "built-in";
const CONFIG = { key: "config", load: (signal) => api.get("/config", { signal }) };

export function Settings({ query }) {
  const { data, problem, reload } = useLoad(CONFIG);
  const text = query.text ?? "";
  const rows = useMemo(() => Object.entries(data ?? {}).map(([name, told]) => ({ name, ...told })).filter(matcher(text)), [data, text]);
  return html`<${PageHead} title="Settings" about="All settings in force, and where each comes from. They are changed there, and read when the server starts.">
      <${SearchField} label="Filter settings" value=${text} onValue=${(value) => go(href("settings", null, { text: value }), { replace: true })} />
    </${PageHead}>
    <${ErrorNotice} problem=${problem} onRetry=${reload} />
    ${data ? html`<${Groups} rows=${rows} text=${text} />` : !problem && html`<${Loading} />`}`;
}

Settings.asks = () => [CONFIG];

function Groups({ rows, text }) {
  if (rows.length === 0) return html`<${EmptyState} title=${`No setting has “${text}” in its name, value, source or meaning.`} />`;
  const [changed, rest] = [rows.filter((row) => row.source !== BUILT_IN), rows.filter((row) => row.source === BUILT_IN)];
  return html`
    ${(changed.length > 0 || !text) && html`<${Section} title="Changed here" note=${changed.length}><${List} label="Changed settings" rows=${changed} empty="Everything is as built in." /></${Section}>`}
    ${rest.length > 0 && html`<${Section} title="As built in" note=${rest.length}><${List} label="Built-in settings" rows=${rest} /></${Section}>`}`;
}

function List({ label, rows, empty }) {
  return html`<div class="settings"><${Table} label=${label} columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.name} empty=${empty} /></div>`;
}

const COLUMNS = [
  { key: "name", label: "Setting", cell: (row) => html`<span class="mono settings-name">${row.name}</span>` },
  { key: "value", label: "Value", cell: (row) => html`<${Value} row=${row} />` },
  { key: "source", label: "Source", cell: (row) => html`<${Source} source=${row.source} />` },
  { key: "meaning", label: "Meaning", wide: true, cell: (row) => html`<${Meaning} row=${row} />` },
];

const isNothing = (value) => value === 0 || value === "" || (Array.isArray(value) && value.length === 0);

function Value({ row: { value, unit, zero } }) {
  if (isNothing(value) && zero) return html`<span><span class="mono">${written(value, unit)}</span> <span class="settings-zero">${zero}</span></span>`;
  return html`<span class="mono" title=${typeof value === "number" && unit ? `${value} ${unit}` : undefined}>${written(value, unit)}</span>`;
}

/** As people write it; nothing is "none". */
function written(value, unit) {
  if (unit === "s") return value < 1 && value > 0 ? `${value}\u202fs` : duration(value) + (value % 1 && value < 60 ? ` (${value})` : "");
  if (unit === "bytes") return bytes(value);
  if (Array.isArray(value)) return value.length ? value.join("\n") : "none";
  if (value === "") return "none";
  return typeof value === "number" ? number(value) : String(value);
}

function Source({ source }) {
  if (source === BUILT_IN) return html`<span class="muted">built-in</span>`;
  const kind = source === "command line" || source.startsWith(BUILT_IN) ? "" : /^[A-Z_]+$/.test(source) ? "environment" : "file";
  return html`<span class="settings-source">${kind ? html`<${Tag}>${kind}</${Tag}> <span class="mono">${source}</span>` : html`<${Tag}>${source}</${Tag}>`}</span>`;
}

function Meaning({ row }) {
  const isChanged = row.source !== BUILT_IN && row.default !== undefined && JSON.stringify(row.default) !== JSON.stringify(row.value);
  return html`<span class="settings-meaning">${row.text}${isChanged && html` <span class="muted">Built in: ${isNothing(row.default) && row.zero ? row.zero : written(row.default, row.unit)}.</span>`}</span>`;
}

function matcher(text) {
  const wanted = text.toLowerCase();
  return (row) => !wanted || [row.name, JSON.stringify(row.value), row.source, row.text ?? ""].some((each) => each.toLowerCase().includes(wanted));
}
