import { useState } from "preact/hooks";
import { shortened, visible } from "../format.js";
import { html } from "../html.js";
import { href } from "../router.js";
import { toast } from "./toasts.js";

function pieces(text) {
  return visible(text).map((piece) => (piece.unseen ? html`<span class="name-unseen">${piece.text}</span>` : piece.text));
}

/**
 * The name of a channel or a client, whatever it is made of: set apart from the direction of the text around it, what
 * cannot be seen written out, long ones cut in the middle with all of it as title.
 * @param {{name: string, to?: "channels" | "clients", copy?: boolean, most?: number}} props
 *   `to`: a link to its page; `copy`: a button that copies it; `most`: characters, 0 for all
 */
export function Name({ name, to, copy = false, most = 48 }) {
  const [begin, end] = most ? shortened(name, most) : [name, ""];
  const text = html`<bdi class="name-text" dir="auto" title=${end ? name : undefined}>
    ${pieces(begin)}${end && html`<span class="name-cut">…</span>`}${end && pieces(end)}
  </bdi>`;
  return html`<span class="name">
    ${to ? html`<a href=${href(to, name)}>${text}</a>` : text}
    ${copy && html`<${Copy} text=${name} />`}
  </span>`;
}

/** What a button is called after: enough to tell it from the others. */
function spoken(text) {
  return shortened(text.slice(0, 200), 48).filter(Boolean).join("…");
}

/** Copies a text. */
export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      // Without TLS a browser lets no page copy, except from what is selected.
      toast("This browser copies only over HTTPS or from localhost; select the text instead.", "bad");
    }
  };
  return html`<button type="button" class="button is-quiet" onClick=${copy} aria-label=${done ? "Copied" : `${label} ${spoken(text)}`}>
    ${done ? "Copied" : label}
  </button>`;
}
