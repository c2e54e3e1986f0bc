// The drawing of a chart, by uPlot, in the colours and sizes of the style sheets.

import { clock } from "../format.js";

/** The class script in index.html, see README.md. */
const uPlot = globalThis.uPlot;

const AXIS_WIDTH = 52;
const AXIS_HEIGHT = 22;

/** A colour of the style sheets as one that a canvas understands. */
function colour(element, name) {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const resolved = getComputedStyle(element).color;
  element.style.color = before;
  return resolved;
}

function faded(resolved, part) {
  return resolved.replace(/^rgba?\(([^)]+?)\)$/, (all, inner) => `rgb(${inner.split(",").slice(0, 3).join(" ").replace(/\s+/g, " ")} / ${part})`);
}

/** Each column on top of those before it; where one is unknown all are. */
export function stackedOf(columns) {
  const [times, ...values] = columns;
  const out = [times, ...values.map(() => new Array(times.length))];
  for (let i = 0; i < times.length; i++) {
    let sum = 0;
    for (let k = 0; k < values.length; k++) {
      const value = values[k][i];
      sum = value === null || value === undefined || sum === null ? null : sum + value;
      out[k + 1][i] = sum;
    }
  }
  return out;
}

/**
 * A plot in the element `box`; `view.current` tells it from, to, least and axis whenever it draws.
 * @param {HTMLElement} box
 */
export function plotOf(box, { series, stacked, height, group, view, onCursor }) {
  const ink = colour(box, "--ink-3");
  const grid = colour(box, "--grid");
  const surface = colour(box, "--paper");
  const font = `12px ${getComputedStyle(box).fontFamily}`;
  const lines = series.map((each, k) => {
    const stroke = colour(box, `--series-${each.look ?? k + 1}`);
    return { label: each.label, stroke, width: 1.5, dash: each.dashed ? [5, 3] : undefined, fill: stacked ? faded(stroke, 0.22) : undefined, points: { show: false } };
  });
  const options = {
    width: Math.max(1, box.clientWidth),
    height,
    padding: [6, 14, 0, 0],
    legend: { show: false },
    select: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 6, width: 1.5, stroke: surface, fill: (u, k) => lines[k - 1].stroke },
      sync: group ? { key: group, setSeries: false } : undefined,
    },
    scales: {
      x: { time: false, range: () => [view.current.from, view.current.to] },
      y: { range: (u, low, high) => [0, Math.max(high ? high * 1.08 : 0, view.current.least) || 1] },
    },
    axes: [
      {
        stroke: ink, font, size: AXIS_HEIGHT, gap: 4, space: 64, grid: { show: false }, ticks: { stroke: grid, size: 4, width: 1 },
        incrs: [30, 60, 120, 300, 600, 900, 1200, 1800, 3600], values: (u, splits) => splits.map((time) => clock(time).slice(0, 5)),
      },
      {
        stroke: ink, font, size: AXIS_WIDTH, gap: 6, space: 26, grid: { stroke: grid, width: 1 }, ticks: { show: false },
        values: (u, splits) => splits.map((value) => view.current.axis(value)),
      },
    ],
    series: [{}, ...lines],
    // From the highest down, each is filled to the one below it.
    bands: stacked ? lines.slice(1).map((line, k) => ({ series: [k + 2, k + 1], fill: line.fill })) : undefined,
    hooks: { setCursor: [(u) => onCursor(u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null)] },
  };
  return new uPlot(options, view.current.drawn, box);
}
