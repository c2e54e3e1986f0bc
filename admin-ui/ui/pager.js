import { html } from "../html.js";
import { Button } from "./button.js";

/**
 * From page to page of a list that is read with a cursor: html`<${Pager} first=${!after} next=${answer.after} …/>`.
 * @param {{first: boolean, next: string | null, onFirst: () => void, onNext: (cursor: string) => void, note?: any, busy?: boolean}} props
 */
export function Pager({ first, next, onFirst, onNext, note, busy = false }) {
  if (first && !next && !note) return null;
  return html`<nav class="pager" aria-label="Pages of the list">
    <${Button} disabled=${first || busy} onClick=${onFirst}>First page</${Button}>
    <${Button} disabled=${!next || busy} onClick=${() => onNext(next)}>Next page</${Button}>
    ${note && html`<span>${note}</span>`}
  </nav>`;
}
