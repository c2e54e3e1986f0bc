import { useMemo } from "preact/hooks";
import { bytes, compact, millis, number, rate, tidy } from "../format.js";
import { live, trends } from "../live.js";
import { useStore } from "../store.js";
import { Chart, html } from "../ui/kit.js";

const count = (value) => tidy(compact(value));

/** Each with the `names` of its series in trends.js; the rest are props of Chart. */
const CHARTS = [
  {
    title: "Connections", wide: true, stacked: true, format: number, axis: count, least: 10,
    names: ["connections_poll", "connections_sse", "connections_stream", "connections_ws"],
    series: [{ label: "Polls" }, { label: "Server-sent events" }, { label: "Streams" }, { label: "WebSockets" }],
  },
  {
    title: "Messages", unit: "per second", format: rate, axis: count, least: 10,
    names: ["out", "in"], series: [{ label: "out" }, { label: "in", look: 2, dashed: true }],
  },
  {
    title: "Push to write", format: millis, least: 1,
    names: ["latency_p99_ms", "latency_p50_ms"], series: [{ label: "99th percentile" }, { label: "median", look: 2, dashed: true }],
  },
  {
    title: "Memory a connection", format: bytes, least: 1000,
    names: ["memory_per_connection"], series: [{ label: "bytes" }],
  },
  {
    title: "Memory in all", format: bytes, least: 1e6,
    names: ["memory"], series: [{ label: "all processes" }],
  },
  {
    title: "Processors", format: (value) => number(value, 2), least: 1,
    names: ["cpu"], series: [{ label: "in use" }],
  },
  {
    title: "Event-loop lag", format: millis, least: 10,
    names: ["lag_ms"], series: [{ label: "the worst" }],
  },
];

export function Charts({ rangeS }) {
  const now = useStore(live); // each frame moves them, and so does what was loaded
  const to = trends.last ?? now.at;
  const from = to - rangeS;
  const columns = useMemo(() => CHARTS.map(({ names }) => trends.since(from, names)), [now, rangeS]);
  return html`<div class="charts">
    ${CHARTS.map(({ names, wide, ...chart }, i) => html`<div key=${chart.title} class=${wide ? "chart-wide" : ""}>
      <${Chart} ...${chart} columns=${columns[i]} from=${from} to=${to} group="overview" height=${148} />
    </div>`)}
  </div>`;
}
