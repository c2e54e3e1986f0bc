import { BUSY, LATE_MS } from "../alarms.js";
import { bytes, counted, millis, number, percent } from "../format.js";
import { href } from "../router.js";
import { html, Meter, WorkerState } from "../ui/kit.js";

export function WorkerTiles({ workers }) {
  return html`<ul class="tiles">${workers.map((each) => html`<li key=${each.worker}><${Tile} worker=${each} /></li>`)}</ul>`;
}

function Tile({ worker: w }) {
  const full = w.room ? w.open / w.room : 0;
  return html`<a class="tile" href=${href("workers", null, { worker: w.worker })}>
    <span class="tile-head">
      <span class="tile-number"><span class="unseen">Worker </span>${w.worker}</span>
      <${WorkerState} state=${w.state} />
    </span>
    <${Meter} label="Open of its room" parts=${[[w.open, full > BUSY ? "warn" : "accent"]]} whole=${w.room} />
    <span class="tile-head">
      <span>${number(w.open)} <span class="muted">open</span></span>
      <span class="muted">${w.drain ? `${number(w.drain.left)} left` : w.restarts > 0 ? counted(w.restarts, "restart") : ""}</span>
    </span>
    <span class="tile-figures">
      <span class=${w.cpu > BUSY ? "is-high" : ""}><span class="muted">cpu</span> ${percent(w.cpu)}</span>
      <span class=${w.lag_ms > LATE_MS ? "is-high" : ""}><span class="muted">lag</span> ${millis(w.lag_ms)}</span>
      <span><span class="muted">mem</span> ${bytes(w.memory)}</span>
    </span>
  </a>`;
}
