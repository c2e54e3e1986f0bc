import { useMemo, useState } from "preact/hooks";
import { bytes, visible } from "../format.js";
import { html } from "../html.js";

/** What is drawn at once; a megabyte of text in one element takes a browser a second. */
const FIRST = 4000;
const STEP = 100_000;

/**
 * A JSON value, pretty; the rest of a large one when it is asked for.
 * @param {{value?: any, text?: string, line?: boolean, first?: number}} props
 *   `text` instead of `value`: shown as it is; `line`: on one line, for tables; `first`: characters that are shown at once
 */
export function Json({ value, text, line = false, first = line ? 200 : FIRST }) {
  const whole = useMemo(() => text ?? JSON.stringify(value, null, line ? undefined : 2) ?? "", [value, text, line]);
  const [shown, setShown] = useState(first);
  const cut = whole.length > shown;
  // Not between the halves of a surrogate pair.
  const end = cut && /[\ud800-\udbff]/.test(whole[shown - 1]) ? shown - 1 : shown;
  const part = useMemo(
    () => whole.slice(0, end).split("\n").flatMap((row, i) => [i ? "\n" : "", ...visible(row).map((piece) =>
      piece.unseen ? html`<span class="name-unseen">${piece.text}</span>` : piece.text)]),
    [whole, end],
  );
  // What may scroll must be reached by the keyboard, and so has a name.
  const scrolls = line ? {} : { tabindex: 0, role: "group", "aria-label": "JSON" };
  return html`<div>
    <code class=${`json ${line ? "is-line" : ""}`} dir="ltr" ...${scrolls}>${part}${cut && "…"}</code>
    ${cut &&
    html`<button type="button" class="button is-quiet json-more" onClick=${() => setShown(shown + STEP)}>
      ${whole.length - shown > STEP ? "Show more" : "Show all"} (${bytes(whole.length - shown)} not shown)
    </button>`}
  </div>`;
}
