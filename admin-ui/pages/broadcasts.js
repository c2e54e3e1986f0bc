import { html, PageHead } from "../ui/kit.js";

export function Broadcasts() {
  return html`<${PageHead} title="Broadcasts" />`;
}
