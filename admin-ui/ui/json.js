import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytes, visible } from "../format.js";
import { html } from "../html.js";

/** What is drawn at once; a megabyte takes a browser half a second. */
const FIRST = 4000;

/**
 * A JSON value, pretty; the rest of a large one when it is asked for.
 * @param {{value?: any, text?: string, line?: boolean, first?: number}} props
 *   `text` instead of `value`: shown as it is; `line`: on one line, for tables; `first`: characters that are shown at once
 */
export function Json({ value, text, line = false, first = line ? 200 : FIRST }) {
  const whole = useMemo(() => text ?? JSON.stringify(value, null, line ? undefined : 2) ?? "", [value, text, line]);
  const [all, setAll] = useState(false);
  const box = useRef(null);
  const cut = !all && whole.length > first;
  // Not between the halves of a surrogate pair.
  const end = !cut ? whole.length : /[\ud800-\udbff]/.test(whole[first - 1]) ? first - 1 : first;
  // The button that was pressed is not there any more.
  useEffect(() => void (all && box.current.focus()), [all]);
  const part = useMemo(
    () => whole.slice(0, end).split("\n").flatMap((row, i) => [i ? "\n" : "", ...visible(row).map((piece) =>
      piece.unseen ? html`<span class="name-unseen">${piece.text}</span>` : piece.text)]),
    [whole, end],
  );
  // What may scroll must be reached by the keyboard, and so has a name.
  const scrolls = line && !all ? {} : { tabindex: 0, role: "group", "aria-label": "JSON" };
  return html`<div>
    <code ref=${box} class=${`json ${line ? "is-line" : ""} ${all ? "is-all" : ""}`} dir="ltr" ...${scrolls}>${part}${cut && "…"}</code>
    ${cut &&
    html`<button type="button" class="button is-quiet json-more" onClick=${() => setAll(true)}>
      Show all (${bytes(whole.length - end)} not shown)
    </button>`}
  </div>`;
}
