import { html, PageHead } from "../ui/kit.js";

export function Events() {
  return html`<${PageHead} title="Events" />`;
}
