import { useState } from "preact/hooks";
import * as api from "../api.js";
import { counted, duration, number } from "../format.js";
import { ConfirmDialog, Field, html, Input, Notice, toast } from "../ui/kit.js";

const PER_S = 1000;
const MOST_PER_S = 1_000_000;
/** So many who come back at once are felt by the others. */
const WAVE = 5000;

const others = (worker, workers) => workers.filter((each) => each.worker !== worker.worker && each.state === "up");

/** Props of both: `worker` and `workers` as a frame has them, `onClose`. */
export function RestartDialog({ worker, workers, onClose }) {
  const { worker: n, open } = worker;
  const rest = others(worker, workers).length;
  const restart = async () => {
    await api.post(api.path("workers", n, "restart"));
    toast(`Worker ${n} is restarted.`);
  };
  const where = rest > 0 ? `to ${rest === 1 ? "the other worker that listens" : `the ${number(rest)} others that listen`}` : "and wait until the new process listens, as no other worker does";
  return html`<${ConfirmDialog} title=${`Restart worker ${n}?`} verb=${`Restart worker ${n}`} deed=${restart} onClose=${onClose}>
    <p>${open === 0 ? "It has no connections. " : html`<strong>${counted(open, "connection")}</strong> ${open === 1 ? "is" : "are"} closed at once. The clients come back by themselves within seconds, ${where}, and go on where they were. `}A new process takes its place.</p>
    ${open > WAVE && html`<${Notice} tone="warn">So many at once are a wave for the others. Drained first, it lets them go little by little.</${Notice}>`}
  </${ConfirmDialog}>`;
}

export function DrainDialog({ worker, workers, onClose }) {
  const { worker: n, open } = worker;
  const [text, setText] = useState(String(PER_S));
  const perS = /^[0-9]{1,7}$/.test(text.trim()) ? Number(text) : 0;
  const valid = perS >= 1 && perS <= MOST_PER_S;
  const rest = others(worker, workers);
  const room = rest.reduce((sum, each) => sum + Math.max(0, each.room - each.open), 0);
  const drain = async () => {
    await api.post(api.path("workers", n, "drain"), { per_s: perS });
    toast(`Worker ${n} lets its connections go.`);
  };
  return html`<${ConfirmDialog} title=${`Drain worker ${n}?`} verb=${`Drain worker ${n}`} danger=${false} disabled=${!valid} deed=${drain} onClose=${onClose}>
    <p>It takes no new connections, and lets its <strong>${counted(open, "connection")}</strong> go at this rate. The clients come back to the other workers and go on where they were. Then it stays empty until it is brought back or restarted; a drain can be taken back at any moment.</p>
    <${Field} label="Connections a second" error=${valid ? "" : `A whole number from 1 to ${number(MOST_PER_S)}.`} hint=${valid ? `About ${duration(Math.ceil(open / perS))} for ${counted(open, "connection")}.` : ""}>
      <${Input} inputmode="numeric" class="input-short" value=${text} onValue=${setText} />
    </${Field}>
    ${rest.length > 0 && room < open && html`<${Notice} tone="warn">The other workers have room for ${number(room)} more only; the rest is refused until there is room again.</${Notice}>`}
  </${ConfirmDialog}>`;
}
