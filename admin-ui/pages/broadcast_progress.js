import { useState } from "preact/hooks";
import * as api from "../api.js";
import { bytes, counted, duration, number, rate } from "../format.js";
import { live } from "../live.js";
import { useDeed } from "../loading.js";
import { spelled } from "../names.js";
import { Paces, secondsLeft } from "../pace.js";
import { BroadcastState, Button, ConfirmDialog, html, Name, Progress, Section, Time, toast } from "../ui/kit.js";

const paces = new Paces();

live.subscribe(({ frame, phase }) => {
  if (!frame || phase !== "live") return;
  paces.add(frame.time, frame.broadcasts.filter((each) => each.state === "running").map((each) => [each.id, each.written + each.lost]));
});

export const isOver = ({ state }) => state === "done" || state === "cancelled";

/** Whom a broadcast goes to. */
export function Target({ channel }) {
  return channel === "*" ? "everyone" : html`<${Name} name=${channel} to="channels" />`;
}

/** Those that are not over, with how far they are and what can be done; nothing without one. */
export function UnderWay({ broadcasts, mayChange, onChanged }) {
  const [asked, setAsked] = useState(null);
  const cancelled = broadcasts.find((each) => each.id === asked);
  if (broadcasts.length === 0) return null;
  return html`<${Section} title="Under way">
    <ul class="under-way">
      ${broadcasts.map((each) => html`<${Broadcast} key=${each.id} broadcast=${each} mayChange=${mayChange} onChanged=${onChanged} onCancel=${() => setAsked(each.id)} />`)}
    </ul>
    ${cancelled && html`<${CancelDialog} broadcast=${cancelled} onClose=${(done) => { setAsked(null); if (done) onChanged(); }} />`}
  </${Section}>`;
}

const leftOf = ({ connections, written, lost }) => Math.max(0, connections - written - lost);

function Broadcast({ broadcast: b, mayChange, onChanged, onCancel }) {
  const left = leftOf(b);
  const measured = b.state === "running" ? paces.perS(b.id) : null;
  const eta = secondsLeft(left, measured || null, b.per_s);
  const told = [b.lost > 0 && `${number(b.lost)} lost`, `${number(left)} left`];
  if (b.state === "running") told.push(`${rate(measured)} of ${rate(b.per_s)}`, `about ${duration(Math.ceil(eta))} to go`);
  else told.push(`${duration(Math.ceil(eta))} to go when it is resumed; until then only who is sent something newer gets it first`);
  return html`<li class="under-way-item">
    <div>
      <div class="under-way-head"><strong><${Target} channel=${b.channel} /></strong> <${BroadcastState} state=${b.state} /></div>
      <div class="under-way-about">${bytes(b.bytes)}, by <${Name} name=${b.by} most=${24} />, <${Time} at=${b.started} focusable=${false} /></div>
    </div>
    <${Progress} label=${`Broadcast to ${b.channel === "*" ? "everyone" : spelled(b.channel)}`} value=${b.written} whole=${b.connections} tone=${b.state === "paused" ? "warn" : "accent"} note=${told.filter(Boolean).join(", ")} />
    ${mayChange && html`<${Deeds} broadcast=${b} onChanged=${onChanged} onCancel=${onCancel} />`}
  </li>`;
}

function Deeds({ broadcast: b, onChanged, onCancel }) {
  const { busy, run } = useDeed();
  const stop = b.state === "running" ? "pause" : "resume";
  const turn = () =>
    run(async () => {
      try {
        await api.post(api.path("broadcasts", b.id, stop));
      } catch (problem) {
        toast(`It could not be ${stop === "pause" ? "paused" : "resumed"}: ${problem.message}.`, "bad");
      }
      onChanged();
    });
  return html`<div class="row">
    <${Button} busy=${busy} onClick=${turn}>${stop === "pause" ? "Pause" : "Resume"}</${Button}>
    <${Button} kind="danger" onClick=${onCancel}>Cancel broadcast</${Button}>
  </div>`;
}

function CancelDialog({ broadcast: b, onClose }) {
  const cancel = async () => {
    const ended = await api.del(api.path("broadcasts", b.id));
    toast(`Cancelled; it was written to ${counted(ended.written, "connection")}.`);
    return ended;
  };
  return html`<${ConfirmDialog} title=${html`Cancel the broadcast to <${Target} channel=${b.channel} />?`} verb="Cancel the broadcast" back="Let it go on" deed=${cancel} onClose=${onClose}>
    <p>The <strong>${counted(leftOf(b), "connection")}</strong> that it has not been written to do not get it, neither now nor when they come back. What has been written stays written: ${counted(b.written, "connection")} so far. It cannot go on afterwards.</p>
  </${ConfirmDialog}>`;
}
