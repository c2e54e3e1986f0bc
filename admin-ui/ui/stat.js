import { html } from "../html.js";

/**
 * A figure: large, with its unit small beside it and what it is above.
 * @param {{label: string, value: string | [string, string], unit?: string, note?: any, size?: "" | "large" | "small", tone?: "" | "warn" | "bad", title?: string}} props
 *   `value`: text, or what format.js's …Parts() return
 */
export function Stat({ label, value, unit = "", note, size = "", tone = "", title }) {
  const [figure, own] = Array.isArray(value) ? value : [value, unit];
  return html`<div class=${`stat ${size && `is-${size}`} ${tone && `is-${tone}`}`}>
    <div class="stat-label">${label}</div>
    <div class="stat-value" title=${title}>${figure}${own && html`<span class="stat-unit">${own}</span>`}</div>
    ${note && html`<div class="stat-note">${note}</div>`}
  </div>`;
}

/** Stats side by side, as many as fit. */
export function Stats({ children }) {
  return html`<div class="stats">${children}</div>`;
}

/** Names and values: rows [[name, value], …]; a row whose value is null is left out. */
export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
  </dl>`;
}
