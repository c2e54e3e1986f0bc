import { html, PageHead } from "../ui/kit.js";

export function Audit() {
  return html`<${PageHead} title="Audit" />`;
}
