import { live } from "../live.js";
import { number } from "../format.js";
import { useStore } from "../store.js";
import { html, PageHead, Stat } from "../ui/kit.js";

export function Overview() {
  const open = useStore(live, (now) => now.frame?.open ?? null);
  return html`<${PageHead} title="Overview" />
    <${Stat} label="Connections" value=${number(open)} size="large" />`;
}
