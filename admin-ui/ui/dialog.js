import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useDeed } from "../loading.js";
import { html } from "../html.js";
import { Button } from "./button.js";
import { Field, Input } from "./field.js";
import { ErrorNotice } from "./notices.js";

/**
 * A window over the page: draw it while it is open. Escape closes it, and the focus goes back to where it was.
 * @param {{title: any, onClose: () => void, foot: any}} props `foot`: its buttons; what has the attribute data-first has the focus
 */
export function Dialog({ title, onClose, foot, children }) {
  const box = useRef(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector("[data-first]")?.focus();
    return () => before?.focus?.();
  }, []);
  const closed = (event) => {
    event.preventDefault(); // it is closed by not being drawn any more
    onClose();
  };
  return html`<dialog ref=${box} class="dialog" aria-labelledby=${id} onCancel=${closed}>
    <div class="dialog-body">
      <h2 id=${id}>${title}</h2>
      ${children}
      <div class="dialog-foot">${foot}</div>
    </div>
  </dialog>`;
}

/**
 * Asks before something that cannot be taken back. It says what will happen, stands on "Cancel", and shows why it failed.
 * @param {{title: any, verb: string, back?: string, deed: () => Promise<any>, onClose: (result?: any) => void, typed?: string, danger?: boolean, disabled?: boolean}} props
 *   `verb`: on the button, "Disconnect 3 connections"; `back`: on the other one; children: what will happen; `typed`: a text to write first, for the
 *   gravest; `onClose(result)` after the deed, `onClose()` when it was given up
 */
export function ConfirmDialog({ title, verb, back = "Cancel", deed, onClose, typed, danger = true, disabled = false, children }) {
  const [text, setText] = useState("");
  const { busy, problem, run } = useDeed();
  const act = () =>
    run(async () => {
      const result = await deed();
      onClose(result ?? true);
    });
  const foot = html`
    <${Button} onClick=${() => onClose()} data-first>${back}</${Button}>
    <${Button} kind=${danger ? "danger primary" : "primary"} busy=${busy} disabled=${disabled || (typed && text !== typed)} onClick=${act}>${verb}</${Button}>
  `;
  return html`<${Dialog} title=${title} onClose=${() => onClose()} foot=${foot}>
    <div class="stack">${children}</div>
    ${typed && html`<${Field} label=${`Type ${typed} to go on`}><${Input} value=${text} onValue=${setText} /></${Field}>`}
    <${ErrorNotice} problem=${problem} />
  </${Dialog}>`;
}
