import { html, PageHead } from "../ui/kit.js";

export function Clients() {
  return html`<${PageHead} title="Clients" />`;
}
