import { useId } from "preact/hooks";
import { html } from "../html.js";

/**
 * One of a few, all in sight: radio buttons, so the arrow keys work.
 * @param {{label: string, options: [string, string][], value: string, onValue: (value: string) => void}} props
 */
export function Segmented({ label, options, value, onValue }) {
  const name = useId();
  return html`<fieldset class="segmented">
    <legend class="unseen">${label}</legend>
    ${options.map(
      ([each, text]) => html`<label key=${each}>
        <input type="radio" name=${name} value=${each} checked=${each === value} onChange=${() => onValue(each)} />
        <span>${text}</span>
      </label>`,
    )}
  </fieldset>`;
}
