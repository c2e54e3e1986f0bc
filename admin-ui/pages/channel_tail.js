import { useEffect, useRef, useState } from "preact/hooks";
import { number } from "../format.js";
import { TailRows } from "../tail.js";
import { useTailStream } from "../tail_stream.js";
import { Button, html, Notice, SearchField, Section, State } from "../ui/kit.js";
import { TailList } from "./channel_tail_list.js";
import { TailMessage } from "./channel_tail_message.js";

/** State of the stream -> tone, word. */
const STATES = {
  off: ["", "not started"],
  connecting: ["", "connecting"],
  live: ["ok", "live"],
  broken: ["bad", "broken, tried again by itself"],
  hidden: ["", "closed while the tab is hidden"],
};

/** What is published to a channel while one looks. */
export function Tail({ name }) {
  const [on, setOn] = useState(false);
  const [filter, setFilter] = useState("");
  const [chosen, setChosen] = useState(null);
  const rows = useRef(null);
  rows.current ??= new TailRows();
  const tail = rows.current;
  const redraw = useFrame();
  const stream = useTailStream(name, on, {
    onMessages: (told) => {
      tail.add(told, (data) => JSON.stringify(data));
      redraw();
    },
    onBroken: () => tail.broke(),
  });
  const act = (change) => () => {
    change();
    redraw();
  };
  const filtered = (text) => {
    tail.filter(text);
    setFilter(text);
  };
  const stop = () => {
    tail.resume();
    setOn(false);
  };
  // One button that changes, so that the focus stays on it.
  const [verb, deed] = !on ? ["Start tail", () => setOn(true)] : tail.paused ? ["Resume", act(() => tail.resume())] : ["Pause", act(() => tail.pause())];
  const actions = html`
    <${Button} kind=${verb === "Pause" ? "" : "primary"} onClick=${deed}>${verb}</${Button}>
    ${on && html`<${Button} onClick=${stop}>Stop</${Button}>`}
  `;
  const [tone, word] = STATES[stream.state];
  const began = on || tail.shown.length > 0 || tail.filtered > 0;
  return html`<${Section} title="Live tail" note=${html`<span role="status"><${State} tone=${tone}>${word}</${State}></span>`} actions=${actions}>
    ${!began && html`<p class="muted">Shows what is published from now on. It is no subscriber: it is in no count and takes nothing out of a mailbox.</p>`}
    ${stream.failures > 2 && html`<div class="banner"><${Notice} tone="warn" role="note">
      The tail has broken off ${stream.failures} times in a row. The server tells 32 tails at most at a time, and none while it restarts.
    </${Notice}></div>`}
    ${began && html`
      <div class="tail-bar">
        <${SearchField} label="Filter by text in the data" value=${filter} onValue=${filtered} />
        <span class="tail-counts">${countsOf(tail)}</span>
        <${Button} kind="quiet" onClick=${act(() => tail.clear())}>Clear</${Button}>
      </div>
      <${TailList} rows=${tail.shown} added=${tail.added} chosen=${chosen} onChosen=${setChosen}
        empty=${tail.filtered ? "None of the messages that came has this text." : stream.state === "live" ? "Nothing has been published since." : "Nothing yet."} />
      ${chosen && html`<${TailMessage} name=${name} row=${chosen} onClose=${() => setChosen(null)} />`}
    `}
  </${Section}>`;
}

function countsOf(tail) {
  const parts = [`${number(tail.shown.length)} shown`, `${number(tail.skipped)} skipped by rate`, `${number(tail.filtered)} filtered out`];
  return html`${parts.join(", ")}${tail.paused && html`<strong> · paused, ${number(tail.fresh)} new</strong>`}`;
}

/** A function that draws the component anew with the browser's next frame, however often it is called before. */
function useFrame() {
  const [, setTurn] = useState(0);
  const due = useRef(0);
  useEffect(() => () => cancelAnimationFrame(due.current), []);
  return () => {
    due.current ||= requestAnimationFrame(() => {
      due.current = 0;
      setTurn((count) => count + 1);
    });
  };
}
