import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { bytes, counted } from "../format.js";
import { faultOf, faultWords } from "../jsontext.js";
import { useDeed } from "../loading.js";
import { ttlFault } from "../ttl.js";
import { Button, ErrorNotice, Field, html, Input, Notice, sentenceOf, TextArea } from "../ui/kit.js";

/** A text of more characters is checked when the keys rest, not with each. */
const LARGE = 100_000;
const REST_MS = 300;
const FIELDS = ["data", "ttl", "key"];

/**
 * Publishes to one channel or client what is written as JSON, as it was written.
 * @param {{target: {channel: string} | {client: string}, onPublished?: (answer: any) => void}} props
 */
export function Publish({ target, onPublished }) {
  const [text, setText] = useState("");
  const [ttl, setTtl] = useState("");
  const [key, setKey] = useState("");
  const [pressed, setPressed] = useState(false);
  const [answer, setAnswer] = useState(null);
  const { busy, problem, run, clear } = useDeed();
  const fault = useFault(text);
  const form = useRef(null);

  const changed = (set) => (value) => {
    set(value);
    setPressed(false);
    setAnswer(null);
    if (problem) clear();
  };
  const show = (at) => {
    const area = form.current.querySelector("textarea");
    area.focus();
    area.setSelectionRange(at, Math.min(text.length, at + 1));
  };
  const publish = (data) => {
    if (busy) return;
    setPressed(false);
    setAnswer(null);
    run(async () => {
      const told = await api.post("/push", undefined, { query: { receipt: 1 }, raw: bodyOf(target, data, ttl, key) });
      setAnswer(told);
      onPublished?.(told);
    });
  };
  const send = () => {
    const found = faultOf(text);
    setPressed(true);
    if (found) show(found.at);
    else if (!ttlFault(ttl)) publish(text);
  };
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  const keyed = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const empty = text.trim() === "";
  const said = empty ? "Any JSON value. Ctrl+Enter sends it." : fault ? faultWords(fault) : `JSON, ${bytes(new TextEncoder().encode(text).length)}. Ctrl+Enter sends it.`;
  const dataError = (pressed && fault && (empty ? "Write what is to be sent, as JSON." : faultWords(fault))) || told(problem, "data");
  // What is wrong is said once: as a hint while one types, as an error when it was to be sent.
  const hint = dataError ? null : html`<span class=${fault && !empty ? "publish-fault" : ""}>${said}</span>`;
  return html`<form class="publish stack" ref=${form} onSubmit=${submit} onKeyDown=${keyed}>
    <div>
      <${Field} label="Data" hint=${hint} error=${dataError}>
        <${TextArea} value=${text} onValue=${changed(setText)} rows="6" placeholder='{"text":"hello"}' dir="ltr" />
      </${Field}>
      ${fault && !empty &&
      html`<div class="row publish-mend">
        <${Button} kind="quiet" onClick=${() => show(fault.at)}>Show where</${Button}>
        <${Button} kind="quiet" disabled=${busy} onClick=${() => publish(JSON.stringify(text))}>Send as text instead</${Button}>
      </div>`}
    </div>
    <div class="publish-more">
      <${Field} label="Keep for (s)" hint="empty: as the settings say; 0: live only" error=${(pressed && ttlFault(ttl)) || told(problem, "ttl")}>
        <${Input} value=${ttl} onValue=${changed(setTtl)} inputmode="decimal" />
      </${Field}>
      <${Field} label="Idempotency key" hint="empty: none; the same key within 300 s sends nothing again" error=${told(problem, "key")}>
        <${Input} value=${key} onValue=${changed(setKey)} />
      </${Field}>
    </div>
    <div class="row">
      <${Button} type="submit" kind="primary" busy=${busy}>${busy ? "Sending" : "Send"}</${Button}>
    </div>
    ${problem && !FIELDS.some((field) => told(problem, field)) && html`<${ErrorNotice} problem=${problem} what=${failure(problem)} />`}
    <div role="status">${answer && html`<${Answer} answer=${answer} />`}</div>
  </form>`;
}

/** The fault of the text, as one types. */
function useFault(text) {
  const [fault, setFault] = useState(() => faultOf(text));
  useEffect(() => {
    if (text.length < LARGE) {
      setFault(faultOf(text));
      return undefined;
    }
    const timer = setTimeout(() => setFault(faultOf(text)), REST_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return fault;
}

/** The body of the push. The data stands in it as it was written, and is JSON, or it would not be here. */
function bodyOf(target, data, ttl, key) {
  const rest = { ...target, ...(ttl.trim() ? { ttl: Number(ttl) } : {}), ...(key ? { key } : {}) };
  return `${JSON.stringify(rest).slice(0, -1)},"data":${data}}`;
}

/** What the server says of one field. */
function told(problem, field) {
  if (!problem?.of) return "";
  if (field === "data" && (problem.code === "too-large" || problem.code === "bad-json")) return sentenceOf(problem.detail);
  return sentenceOf(problem.of(field));
}

/** Without an answer, or when a worker lost its manager, the message may have been published all the same. */
function failure({ status, code }) {
  if (status !== 0 && code !== "overloaded") return "Not sent.";
  return "Nobody knows whether it was sent; with an idempotency key it can be sent again without harm.";
}

function Answer({ answer }) {
  const [tone, words] = wordsOf(answer);
  return html`<${Notice} tone=${tone} role="note">
    ${answer.repeated && html`<strong>Not sent again. </strong>`}
    ${answer.repeated ? "This idempotency key was used in the last 300 s. The answer was then: " : ""}${words}
    <span class="notice-detail">Position <code>${answer.id}</code></span>
  </${Notice}>`;
}

/** The answer to a push -> tone, sentence. */
function wordsOf({ status, connections, repeated }) {
  if (status === "queued") return ["", "Kept. Nobody listens now; who comes back is told."];
  if (status === "unheard") return ["warn", "Unheard. Nobody listens now, and nothing is kept."];
  if (repeated) return ["", "sent."];
  if (!connections) return ["warn", "Handed to a worker, but written to no connection: who listened has gone meanwhile, or did not take it within 5 s."];
  return ["", `Sent: written to ${counted(connections, "connection")}.`];
}
