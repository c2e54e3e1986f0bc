import { html, PageHead } from "../ui/kit.js";

export function Channel() {
  return html`<${PageHead} title="Channel" />`;
}
