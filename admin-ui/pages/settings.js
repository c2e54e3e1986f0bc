import { html, PageHead } from "../ui/kit.js";

export function Settings() {
  return html`<${PageHead} title="Settings" />`;
}
