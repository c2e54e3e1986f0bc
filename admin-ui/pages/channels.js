import { html, PageHead } from "../ui/kit.js";

export function Channels() {
  return html`<${PageHead} title="Channels" />`;
}
