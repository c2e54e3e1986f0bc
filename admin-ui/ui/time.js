import { second } from "../clock.js";
import { exact, relative, seconds } from "../format.js";
import { html } from "../html.js";
import { useStore } from "../store.js";

/**
 * How long ago, and exactly when on hover or focus: html`<${Time} at=${message.time} />`.
 * @param {{at: string | number | null, focusable?: boolean}} props RFC 3339 or unix seconds, by the server's clock
 */
export function Time({ at, focusable = true }) {
  const time = seconds(at);
  const text = useStore(second, (now) => relative(time, now));
  if (time === null) return html`<span class="time muted">${text}</span>`;
  const when = exact(time);
  return html`<time class="time" datetime=${new Date(time * 1000).toISOString()} title=${when} data-exact=${when} tabindex=${focusable ? 0 : undefined}
    aria-label=${`${text}, ${when}`}>${text}</time>`;
}
