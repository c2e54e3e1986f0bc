import * as api from "../api.js";
import { drains } from "../drains.js";
import { duration, number, rate } from "../format.js";
import { useDeed } from "../loading.js";
import { secondsLeft } from "../pace.js";
import { Button, html, Progress, Section, toast, WorkerState } from "../ui/kit.js";

/** The workers that are drained, and how far each is; nothing without one. */
export function Drained({ workers, mayChange, onRestart }) {
  const some = workers.filter((each) => each.drain);
  if (some.length === 0) return null;
  return html`<${Section} title="Drained" note="They take no new connections until they are brought back or restarted.">
    <ul class="under-way">${some.map((each) => html`<${Drain} key=${each.worker} worker=${each} mayChange=${mayChange} onRestart=${onRestart} />`)}</ul>
  </${Section}>`;
}

function Drain({ worker, mayChange, onRestart }) {
  const { whole, left, perS } = drains.of(worker);
  const eta = secondsLeft(left, perS || null, worker.drain.per_s);
  const note = left === 0 ? "Empty." : `${number(left)} left, ${rate(perS)} of ${rate(worker.drain.per_s)}, about ${duration(Math.ceil(eta))} to go`;
  return html`<li class="under-way-item">
    <div class="under-way-head"><strong>Worker ${worker.worker}</strong> <${WorkerState} state=${worker.state} /></div>
    ${whole === 0 ? html`<span class="muted">Empty.</span>` : html`<${Progress} label=${`Drain of worker ${worker.worker}`} value=${whole - left} whole=${whole} note=${note} />`}
    ${mayChange &&
    html`<div class="row">
      <${BringBack} worker=${worker.worker} />
      ${left === 0 && html`<${Button} aria-label=${`Restart worker ${worker.worker} now that it is empty`} onClick=${() => onRestart(worker)}>Restart</${Button}>`}
    </div>`}
  </li>`;
}

/** `back()` takes a drain back: those who are still there stay. It asks nothing, since it can be drained again. */
export function useBringBack(worker) {
  const { busy, run } = useDeed();
  const back = () =>
    run(async () => {
      try {
        await api.del(api.path("workers", worker, "drain"));
        toast(`Worker ${worker} takes connections again.`);
      } catch (problem) {
        toast(`Worker ${worker} was not brought back: ${problem.message}.`, "bad");
      }
    });
  return { busy, back };
}

function BringBack({ worker }) {
  const { busy, back } = useBringBack(worker);
  return html`<${Button} busy=${busy} aria-label=${`Bring back worker ${worker}`} onClick=${back}>Bring back</${Button}>`;
}
