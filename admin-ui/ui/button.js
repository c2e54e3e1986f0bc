import { html } from "../html.js";

/**
 * A button, or with `href` a link that looks like one.
 * @param {{kind?: "" | "primary" | "danger" | "quiet", busy?: boolean, href?: string}} props and those of the element
 */
export function Button({ kind = "", busy = false, disabled = false, href, class: extra = "", children, ...rest }) {
  const look = `button ${kind ? kind.split(" ").map((each) => `is-${each}`).join(" ") : ""} ${extra}`.trim();
  if (href) return html`<a class=${look} href=${href} ...${rest}>${children}</a>`;
  return html`<button type="button" class=${look} disabled=${disabled || busy} aria-busy=${busy ? "true" : undefined} ...${rest}>
    ${children}
  </button>`;
}
