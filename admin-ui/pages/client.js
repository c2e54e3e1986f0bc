import { html, PageHead } from "../ui/kit.js";

export function Client() {
  return html`<${PageHead} title="Client" />`;
}
