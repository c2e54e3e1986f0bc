import { useEffect, useRef } from "preact/hooks";
import { number, percent } from "../format.js";
import { html } from "../html.js";

// Widths are set on the element: the policy of this page allows no style attribute.
function Part({ share, look }) {
  const part = useRef(null);
  const width = `${(Math.min(1, Math.max(0, share || 0)) * 100).toFixed(2)}%`;
  useEffect(() => void (part.current.style.width = width), [width]);
  return html`<span ref=${part} class=${`meter-part ${look ? `is-${look}` : ""}`}></span>`;
}

/**
 * How much of a whole, as a bar: html`<${Meter} label="open of room" parts=${[[open, "accent"]]} whole=${room} />`.
 * @param {{label: string, parts: [number, string][], whole: number}} props looks: "1" to "4" (series), accent, warn, bad, ""
 */
export function Meter({ label, parts, whole }) {
  const sum = parts.reduce((total, [value]) => total + (value || 0), 0);
  return html`<div class="meter" role="img" aria-label=${`${label}: ${percent(whole ? sum / whole : null)}`}>
    ${parts.map(([value, look], i) => value > 0 && html`<${Part} key=${i} share=${whole ? value / whole : 0} look=${look} />`)}
  </div>`;
}

/**
 * How far something is: the bar, "4711 of 100 000", and what else there is to say.
 * @param {{label: string, value: number, whole: number, note?: any, tone?: string}} props
 */
export function Progress({ label, value, whole, note, tone = "accent" }) {
  const part = whole > 0 ? Math.min(1, value / whole) : 1;
  return html`<div class="progress">
    <div class="meter" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(part * 100)} aria-valuetext=${`${number(value)} of ${number(whole)}`}>
      <${Part} share=${part} look=${tone} />
    </div>
    <div class="progress-text"><span>${number(value)} of ${number(whole)} (${percent(part)})</span>${note && html`<span>${note}</span>`}</div>
  </div>`;
}
