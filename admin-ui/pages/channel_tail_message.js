import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { bytes, number } from "../format.js";
import { parseExact } from "../jsontext.js";
import { useDeed } from "../loading.js";
import { Button, Copy, ErrorNotice, html, Json, Notice, Time } from "../ui/kit.js";

/** The position before that of a message, which is "epoch-offset". */
function positionBefore(id) {
  const at = id.lastIndexOf("-");
  return `${id.slice(0, at)}-${BigInt(id.slice(at + 1)) - 1n}`;
}

/** One message of a tail, all of it; one that came cut is fetched from the history when it is kept there. */
export function TailMessage({ name, row, onClose }) {
  const [whole, setWhole] = useState(null);
  const { busy, problem, run, clear } = useDeed();
  useEffect(() => {
    setWhole(null);
    clear();
  }, [row]);
  const load = () =>
    run(async () => {
      const query = { since: positionBefore(row.id), limit: 1 };
      const told = await api.get(api.path("channels", name, "history"), { query, parse: parseExact });
      const found = told.messages.find((message) => message.id === row.id);
      setWhole(found ? { data: found.data } : { data: undefined });
    });
  const found = whole && whole.data !== undefined;
  const text = found ? JSON.stringify(whole.data) : row.text;
  const isWhole = !row.isCut || found;
  return html`<div class="tail-message">
    <div class="row">
      <code>${row.id}</code> <${Time} at=${row.time} /> <span class="muted">${bytes(row.bytes)}</span>
      <${Copy} text=${text} label=${isWhole ? "Copy data" : "Copy beginning"} />
      <${Button} kind="quiet" onClick=${onClose}>Close</${Button}>
    </div>
    ${isWhole
      ? html`<${Json} key=${row.id} value=${parseExact(text)} />`
      : html`<${Json} key=${row.id} text=${row.text} />
          <p class="row">
            <span>Only its first ${number([...row.text].length)} characters are told, of ${bytes(row.bytes)}.</span>
            ${whole === null && html`<${Button} kind="quiet" busy=${busy} onClick=${load}>Load all of it from the history</${Button}>`}
          </p>`}
    ${whole && !found && html`<${Notice} tone="warn">It is not kept, so nobody has the rest of it.</${Notice}>`}
    <${ErrorNotice} problem=${problem} onRetry=${load} />
  </div>`;
}
