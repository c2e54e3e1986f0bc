import { html } from "../html.js";

/**
 * A figure: large, with its unit small beside it and what it is above.
 * @param {{label: string, value: string | [string, string], note?: any, size?: "" | "large", tone?: "" | "warn" | "bad"}} props
 *   `value`: text, or what format.js's …Parts() return
 */
export function Stat({ label, value, note, size = "", tone = "" }) {
  const [figure, unit] = Array.isArray(value) ? value : [value, ""];
  return html`<div class=${`stat ${size && `is-${size}`} ${tone && `is-${tone}`}`}>
    <div class="stat-label">${label}</div>
    <div class="stat-value">${figure}${unit && html`<span class="stat-unit">${unit}</span>`}</div>
    ${note && html`<div class="stat-note">${note}</div>`}
  </div>`;
}

/** Stats side by side, as many as fit. */
export function Stats({ children }) {
  return html`<div class="stats">${children}</div>`;
}
