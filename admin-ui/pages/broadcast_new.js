import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { bytes, counted, duration, number, rate } from "../format.js";
import { useLoad } from "../loading.js";
import { EVERYONE } from "../names.js";
import { ttlFault } from "../ttl.js";
import { Button, ConfirmDialog, ErrorNotice, Field, html, Input, Json, JsonField, Name, Notice, Section, Segmented, sentenceOf, toast } from "../ui/kit.js";

const PER_S = 10_000;
const MOST_PER_S = 1_000_000;
/** Whoever types is not asked about each letter. */
const REST_MS = 350;
/** Connections come and go while one writes. */
const AGAIN_S = 5;
const FIELDS = ["channel", "data", "per_s", "ttl"];

/**
 * The form of a broadcast, with what it would be; asks before it begins.
 * @param {{channel: string, onClose: () => void, onBegun: () => void}} props `channel`: to begin with, "*" for everyone, or ""
 */
export function NewBroadcast({ channel, onClose, onBegun }) {
  const [form, setForm] = useState({ everyone: channel === EVERYONE, channel: channel === EVERYONE ? "" : channel, data: "", per_s: String(PER_S), ttl: "" });
  const [isJson, setIsJson] = useState(false);
  const [asking, setAsking] = useState(false);
  const change = (part) => setForm((was) => ({ ...was, ...part }));
  const wrong = faults(form);
  const body = isJson && Object.keys(wrong).length === 0 && (form.everyone || form.channel) ? bodyOf(form) : null;
  const { estimate, isNew, problem } = useEstimate(body);
  const refused = (field) => wrong[field] ?? (problem ? sentenceOf(problem.of(field)) : "");
  const first = useFocus();
  return html`<${Section} title="New broadcast" actions=${html`<${Button} kind="quiet" onClick=${onClose}>Close</${Button}>`}>
    <div class="broadcast-new" ref=${first}>
      <div class="stack">
        <div class="row">
          <${Segmented} label="To" options=${[["channel", "One channel"], ["everyone", "Everyone"]]} value=${form.everyone ? "everyone" : "channel"} onValue=${(value) => change({ everyone: value === "everyone" })} />
        </div>
        ${!form.everyone && html`<${Field} label="Channel" error=${refused("channel")}><${Input} value=${form.channel} dir="auto" onValue=${(value) => change({ channel: value })} /></${Field}>`}
        <${JsonField} label="Message, as JSON" rows=${7} value=${form.data} error=${problem?.status === 413 ? sentenceOf(problem.detail) : refused("data")} onValue=${(data) => change({ data })} onValid=${setIsJson} />
      </div>
      <div class="stack">
        <${Field} label="Connections a second" error=${refused("per_s")} hint="Direct messages go ahead of it at any rate.">
          <${Input} inputmode="numeric" class="input-short" value=${form.per_s} onValue=${(value) => change({ per_s: value })} />
        </${Field}>
        <${Field} label="Kept for, seconds" error=${refused("ttl")} hint="For who comes back meanwhile. Empty: as is usual for the channel. 0: only for who is connected.">
          <${Input} inputmode="numeric" class="input-short" value=${form.ttl} onValue=${(value) => change({ ttl: value })} />
        </${Field}>
        <${Estimate} estimate=${estimate} isNew=${isNew} form=${form} problem=${problem} isWanted=${body !== null} />
        <div class="row">
          <${Button} kind="primary" disabled=${!isNew || Boolean(problem)} onClick=${() => setAsking(true)}>Begin the broadcast</${Button}>
        </div>
      </div>
    </div>
    ${asking && body && estimate && html`<${BeginDialog} form=${form} body=${body} estimate=${estimate} onClose=${(begun) => { setAsking(false); if (begun) onBegun(); }} />`}
  </${Section}>`;
}

function useFocus() {
  const place = useRef(null);
  useEffect(() => void place.current.querySelector("input:not([type=radio]), textarea")?.focus(), []);
  return place;
}

/** What is wrong with the fields themselves: field -> sentence. */
function faults({ per_s, ttl }) {
  const wrong = {};
  if (!/^[0-9]{1,7}$/.test(per_s.trim()) || Number(per_s) < 1 || Number(per_s) > MOST_PER_S) wrong.per_s = `A whole number from 1 to ${number(MOST_PER_S)}.`;
  if (ttlFault(ttl)) wrong.ttl = ttlFault(ttl);
  return wrong;
}

// The data goes as it was written: numbers that JavaScript would round stay what they are.
function bodyOf({ everyone, channel, data, per_s, ttl }) {
  const target = everyone ? '"everyone":true' : `"channel":${JSON.stringify(channel)}`;
  return `{${target},"data":${data},"per_s":${Number(per_s)}${ttl.trim() ? `,"ttl":${Number(ttl)}` : ""}}`;
}

/** What the server says that it would be: asked when the keys rest, and now and then. The one before stays until then. */
function useEstimate(body) {
  const [rested, setRested] = useState(null);
  const last = useRef(null);
  useEffect(() => {
    const timer = setTimeout(() => setRested(body), body === null ? 0 : REST_MS);
    return () => clearTimeout(timer);
  }, [body]);
  const load = async (signal) => (rested === null ? null : api.post("/broadcasts", undefined, { raw: rested, query: { estimate: 1 }, signal }));
  const { data, problem } = useLoad({ key: `estimate ${rested}`, load }, { everyS: AGAIN_S });
  const isAsked = body !== null && body === rested;
  if (data && isAsked) last.current = data;
  return { estimate: body === null ? null : (data ?? last.current), isNew: isAsked && data !== null, problem: isAsked ? problem : null };
}

function Estimate({ estimate, isNew, form, problem, isWanted }) {
  if (problem && !FIELDS.some((field) => problem.of(field)) && problem.status !== 413) return html`<${ErrorNotice} problem=${problem} />`;
  const text = !isWanted ? html`<span class="muted">What it would be is told here as soon as the message is complete.</span>` : estimate ? html`<${Told} estimate=${estimate} form=${form} />` : "…";
  return html`<div class=${`broadcast-estimate ${isWanted && !isNew ? "is-old" : ""}`} role="status" aria-label="Estimate">${text}</div>`;
}

function Told({ estimate: { connections, seconds, bytes: each }, form }) {
  if (connections === 0) {
    return form.ttl.trim() && Number(form.ttl) === 0
      ? "Nobody is connected who would get it, and it is not kept: nobody would."
      : "Nobody is connected who would get it. It is kept for who comes meanwhile.";
  }
  return html`About <strong>${counted(connections, "connection")}</strong>, <strong>${seconds < 1 ? "less than a second" : duration(Math.ceil(seconds))}</strong> at ${rate(Number(form.per_s))}, ${bytes(each)} each, ${bytes(each * connections)} in all.`;
}

/** Says exactly what will happen. To everyone wants more than a press. */
function BeginDialog({ form, body, estimate, onClose }) {
  const begin = async () => {
    const begun = await api.post("/broadcasts", undefined, { raw: body }).catch((problem) => {
      // Whoever pressed again would perhaps write to everyone twice.
      if (problem.status === 0) problem.message = "The server did not answer. Nobody knows whether it has begun: look at the list of broadcasts before you begin it again.";
      throw problem;
    });
    toast(`The broadcast to ${counted(begun.connections, "connection")} has begun.`);
    return begun;
  };
  const whom = form.everyone ? "everyone" : html`the channel <${Name} name=${form.channel} />`;
  return html`<${ConfirmDialog} title=${html`Broadcast to ${whom}?`} verb=${`Write to ${counted(estimate.connections, "connection")}`} danger=${form.everyone} typed=${form.everyone ? "everyone" : undefined} deed=${begin} onClose=${onClose}>
    ${form.everyone && html`<${Notice} tone="warn">Every client of this server gets it, whatever channels it hears.</${Notice}>`}
    <p><${Told} estimate=${estimate} form=${form} /></p>
    <p>It begins at once, and can be paused and cancelled; what has been written stays written. ${keptFor(form.ttl)}</p>
    <${Json} text=${form.data.trim()} first=${600} />
  </${ConfirmDialog}>`;
}

function keptFor(ttl) {
  if (!ttl.trim()) return "It is kept for who comes back, for as long as is usual for the channel.";
  return Number(ttl) === 0 ? "It is not kept: who comes later does not get it." : `Who comes within ${duration(Number(ttl))} gets it too.`;
}
