import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { bytes, clock, number, visible } from "../format.js";
import { html } from "../html.js";

/** Rows beyond each edge of what is seen. */
const SPARE = 8;
/** It is drawn anew when it was scrolled by so many rows; fewer than are to spare. */
const STEP = 4;
/** Characters of a message that are drawn in its line; no screen is wider. */
const MOST = 400;

/**
 * The rows of a tail, the newest above: of all that there are only those in sight are drawn, each one line high. It is one
 * stop of the keyboard; arrow keys, Page, Home and End move through it. Who has moved away from the top stays where they are.
 * @param {{rows: import("../tail.js").Row[], added: number, chosen: import("../tail.js").Row | null, onChosen: Function, empty: string}} props
 *   `rows`: the oldest first; `added`: how many there ever were
 */
export function TailList({ rows, added, chosen, onChosen, empty }) {
  const id = useId();
  const frame = useRef(null);
  const inner = useRef(null);
  const part = useRef(null);
  const [seen, setSeen] = useState({ top: 0, height: 400, row: 24 });
  const before = useRef(added);
  const first = Math.max(0, Math.floor(seen.top / seen.row) - SPARE);
  const last = Math.min(rows.length, Math.ceil((seen.top + seen.height) / seen.row) + STEP + SPARE);
  const drawn = [];
  for (let i = first; i < last; i++) drawn.push([i, rows[rows.length - 1 - i]]);

  const look = () => {
    if (!frame.current) return;
    const { scrollTop, clientHeight: height } = frame.current;
    const row = part.current?.firstElementChild?.offsetHeight || seen.row;
    const top = Math.floor(scrollTop / (row * STEP)) * row * STEP;
    setSeen((was) => (was.top === top && was.height === height && was.row === row ? was : { top, height, row }));
  };
  useLayoutEffect(() => {
    if (!frame.current || !inner.current) return;
    inner.current.style.height = `${rows.length * seen.row}px`;
    part.current.style.transform = `translateY(${first * seen.row}px)`;
    const moved = added - before.current;
    before.current = added;
    if (moved > 0 && frame.current.scrollTop > 0) frame.current.scrollTop += moved * seen.row;
    look();
  });
  useEffect(() => {
    const size = new ResizeObserver(look);
    size.observe(frame.current);
    return () => size.disconnect();
  }, []);

  const at = chosen ? rows.findLastIndex((row) => row.id === chosen.id) : -1;
  const index = at < 0 ? -1 : rows.length - 1 - at;
  const choose = (i) => {
    const to = Math.min(rows.length - 1, Math.max(0, i));
    onChosen(rows[rows.length - 1 - to]);
    const { scrollTop, clientHeight } = frame.current;
    if (to * seen.row < scrollTop) frame.current.scrollTop = to * seen.row;
    else if ((to + 1) * seen.row > scrollTop + clientHeight) frame.current.scrollTop = (to + 1) * seen.row - clientHeight;
  };
  const keyed = (event) => {
    const page = Math.max(1, Math.floor(seen.height / seen.row) - 1);
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || !rows.length || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    choose(to);
  };
  const isDrawn = index >= first && index < last;
  const role = rows.length ? { role: "listbox", "aria-label": "Messages, the newest first", "aria-activedescendant": isDrawn ? `${id}-${index}` : undefined } : {};
  return html`<div class="tail-frame" ref=${frame} tabindex="0" onScroll=${look} onKeyDown=${keyed} ...${role}>
    ${rows.length === 0 && html`<p class="tail-empty muted">${empty}</p>`}
    <div class="tail-inner" ref=${inner} role="presentation">
      <div ref=${part} role="presentation">
        ${drawn.map(
          ([i, row]) => html`<div key=${row.id} id=${`${id}-${i}`} class="tail-row" role="option" aria-selected=${i === index ? "true" : "false"}
            aria-posinset=${i + 1} aria-setsize=${rows.length} onClick=${() => choose(i)}>
            <span class="tail-time">${row.time === null ? "" : stamp(row.time)}</span>
            <span class="tail-id">${row.id}</span>
            ${line(row)}
            ${row.before !== 0 && html`<span class="tail-gap">${row.before === null ? "broken before" : `${number(row.before)} skipped before`}</span>`}
            <span class="tail-size">${bytes(row.bytes)}</span>
          </div>`,
        )}
      </div>
    </div>
  </div>`;
}

/** "10:00:00.123" */
function stamp(time) {
  return `${clock(time)}.${String(Math.floor((time % 1) * 1000 + 0.5) % 1000).padStart(3, "0")}`;
}

function line(row) {
  const text = row.text.length > MOST ? row.text.slice(0, MOST) : row.text;
  const pieces = visible(text).map((piece) => (piece.unseen ? html`<span class="name-unseen">${piece.text}</span>` : piece.text));
  return html`<span class="tail-text" dir="ltr">${pieces}${row.isCut || text !== row.text ? "…" : ""}</span>`;
}
