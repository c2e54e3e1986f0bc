import { html } from "../html.js";

// A button that were disabled while it is busy would lose the focus, and with it the place of who has no mouse.
const held = (event) => event.preventDefault();

/**
 * A button, or with `href` a link that looks like one. While it is busy it cannot be pressed, and keeps the focus.
 * @param {{kind?: "" | "primary" | "danger" | "quiet", busy?: boolean, href?: string}} props and those of the element
 */
export function Button({ kind = "", busy = false, disabled = false, href, onClick, class: extra = "", children, ...rest }) {
  const look = `button ${kind ? kind.split(" ").map((each) => `is-${each}`).join(" ") : ""} ${extra}`.trim();
  if (href) return html`<a class=${look} href=${href} onClick=${onClick} ...${rest}>${children}</a>`;
  return html`<button type="button" class=${look} disabled=${disabled} onClick=${busy ? held : onClick}
    aria-busy=${busy ? "true" : undefined} aria-disabled=${busy ? "true" : undefined} ...${rest}>
    ${children}
  </button>`;
}
