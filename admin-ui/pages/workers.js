import { html, PageHead } from "../ui/kit.js";

export function Workers() {
  return html`<${PageHead} title="Workers" />`;
}
