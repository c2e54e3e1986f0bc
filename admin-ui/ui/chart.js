import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { clock, tidy, UNKNOWN } from "../format.js";
import { html } from "../html.js";
import { useStore } from "../store.js";
import { theme } from "../theme.js";
import { plotOf, stackedOf } from "./plot.js";

/**
 * @typedef {{label: string, look?: 1 | 2 | 3 | 4, dashed?: boolean}} Series `look`: which of the colours of series
 */

/**
 * Lines over time, or with `stacked` areas on one another. The legend tells the newest values, or those at the crosshair,
 * which follows the pointer and, when the chart has the focus, the arrow keys; charts of one `group` have it together.
 * @param {{title: string, unit?: string, series: Series[], columns: (number | null)[][], from: number, to: number,
 *   format: (value: number | null) => string, axis?: (value: number) => string, stacked?: boolean, height?: number,
 *   group?: string, least?: number}} props
 *   `columns`: [unix seconds, values of the first series, …], oldest first; null: not known, a gap; `from`, `to`: unix
 *   seconds of its sides; `format`: of the legend, `axis`: of the axis (the same without it); `least`: its top is not below
 */
export function Chart({ title, unit = "", series, columns, from, to, format, axis = (value) => tidy(format(value)), stacked = false, height = 140, group, least = 0 }) {
  const box = useRef(null);
  const plot = useRef(null);
  const view = useRef({});
  const [at, setAt] = useState(null);
  const [said, setSaid] = useState("");
  const dark = useStore(theme, (now) => now.dark);
  const drawn = useMemo(() => (stacked ? stackedOf(columns) : columns), [columns, stacked]);
  view.current = { from, to, drawn, least, axis };

  useEffect(() => {
    const element = box.current;
    const made = plotOf(element, { series, stacked, height, group, view, onCursor: setAt });
    plot.current = made;
    const size = new ResizeObserver(() => made.setSize({ width: Math.max(1, element.clientWidth), height }));
    size.observe(element);
    return () => {
      size.disconnect();
      made.destroy();
    };
  }, [dark, height, stacked, group, series.length]);

  useEffect(() => {
    plot.current.setData(drawn);
  }, [drawn, from, to]);

  const last = lastKnown(columns);
  const newest = columns[0].length ? columns[0].length - 1 : null;
  const shown = at !== null && at <= newest ? at : newest;
  const value = (k, i) => (i === null ? null : (columns[k + 1][i] ?? null));
  const keyed = (event) => {
    const moved = step(event.key, at ?? last, columns[0], from);
    if (moved === null) return;
    event.preventDefault();
    const u = plot.current;
    u.setCursor({ left: moved < 0 ? -10 : u.valToPos(columns[0][moved], "x"), top: moved < 0 ? -10 : 0 }, true, true);
    setSaid(moved < 0 ? "" : `${clock(columns[0][moved])}: ${series.map((each, k) => `${each.label} ${format(value(k, moved))}`).join(", ")}`);
  };
  return html`<figure class="chart">
    <figcaption class="chart-head">
      <span class="chart-title">${title}${unit && html` <span class="chart-unit">${unit}</span>`}</span>
      <span class="chart-at">${at !== null && shown !== null && columns[0][shown] ? clock(columns[0][shown]) : ""}</span>
    </figcaption>
    <div class="chart-plot" ref=${box} tabindex="0" role="img" aria-label=${summary(title, series, columns, format, last)}
      onKeyDown=${keyed} onBlur=${() => plot.current.setCursor({ left: -10, top: -10 }, true, true)}>
      ${last === null && html`<div class="chart-empty">No data yet</div>`}
    </div>
    <div class="chart-legend">
      ${series.map(
        (each, k) => html`<span key=${each.label} class=${`chart-key is-${each.look ?? k + 1} ${each.dashed ? "is-dashed" : ""}`}>
          ${each.label} <span class="chart-value">${value(k, shown) === null ? UNKNOWN : format(value(k, shown))}</span>
        </span>`,
      )}
    </div>
    <span class="unseen" role="status">${said}</span>
  </figure>`;
}

/** The index of the newest point at which something is known, or null. */
function lastKnown(columns) {
  for (let i = columns[0].length - 1; i >= 0; i--) {
    if (columns.some((column, k) => k > 0 && column[i] !== null && column[i] !== undefined)) return i;
  }
  return null;
}

/** Where a key moves the crosshair from index `i`: an index, -1 for away, null when it is no such key. */
function step(key, i, times, from) {
  if (i === null) return null;
  const begin = Math.max(0, times.findIndex((time) => time >= from));
  const to = { ArrowLeft: i - 1, ArrowRight: i + 1, PageUp: i - 30, PageDown: i + 30, Home: begin, End: times.length - 1, Escape: -1 }[key];
  if (to === undefined) return null;
  return key === "Escape" ? -1 : Math.min(times.length - 1, Math.max(begin, to));
}

function summary(title, series, columns, format, last) {
  if (last === null) return `Chart: ${title}. No data yet.`;
  const each = series.map((one, k) => {
    const known = columns[k + 1].filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return `${one.label}: not known`;
    let [low, high] = [known[0], known[0]];
    for (const value of known) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return `${one.label}: ${format(columns[k + 1][last] ?? null)}, between ${format(low)} and ${format(high)}`;
  });
  return `Chart: ${title}. ${each.join("; ")}. The arrow keys move through it.`;
}
