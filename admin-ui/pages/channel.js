import { useState } from "preact/hooks";
import * as api from "../api.js";
import { number } from "../format.js";
import { useLoad } from "../loading.js";
import { clientOf, EVERYONE, spelled } from "../names.js";
import { href } from "../router.js";
import { useMayChange } from "../session.js";
import { Copy, EmptyState, ErrorNotice, html, Loading, Name, PageHead, Section, sentenceOf, Stat, Stats } from "../ui/kit.js";
import { History, newestOf } from "./channel_history.js";
import { Publish } from "./channel_publish.js";
import { Tail } from "./channel_tail.js";

const EVERY_S = 3;

const channelOf = (name) => ({ key: `channel ${name}`, load: async (signal) => api.get(api.path("channels", name), { signal }) });

export function Channel({ name }) {
  const mayChange = useMayChange();
  const [turn, setTurn] = useState(0);
  const { data, problem, reload } = useLoad(channelOf(name), { everyS: EVERY_S });
  const changed = () => {
    reload();
    setTurn((count) => count + 1);
  };
  const head = html`<${PageHead} title=${`Channel ${spelled(name)}`} show=${html`<${Name} name=${name} most=${0} copy />`} about=${html`<${About} name=${name} />`} />`;
  if (problem?.code === "bad-name") {
    return html`${head}<${EmptyState} title="No channel can have this name.">${sentenceOf(problem.detail)}</${EmptyState}>`;
  }
  return html`${head}
    ${problem && html`<div class="banner"><${ErrorNotice} problem=${problem} onRetry=${reload} what=${data ? "What is shown is old." : ""} /></div>`}
    ${data ? html`<${Figures} channel=${data} />` : !problem && html`<${Loading} />`}
    <div class=${`channel-parts ${mayChange ? "" : "is-alone"}`}>
      ${mayChange && html`<div class="channel-side"><${Section} title="Publish"><${Box} name=${name} onPublished=${changed} /></${Section}></div>`}
      <div class="channel-main">
        <${Tail} name=${name} />
        <${History} name=${name} turn=${turn} onCleared=${changed} />
      </div>
    </div>`;
}

Channel.asks = ({ name }) => [channelOf(name), newestOf(name)];

function Box({ name, onPublished }) {
  if (name !== EVERYONE) return html`<${Publish} target=${{ channel: name }} onPublished=${onPublished} />`;
  return html`<p>What is published here goes to every connection. <a href=${href("broadcasts", null, { new: 1, channel: EVERYONE })}>Broadcasts</a> do that with an estimate before,
    at a pace, and can be cancelled.</p>`;
}

function About({ name }) {
  const client = clientOf(name);
  if (name === EVERYONE) return "The channel that every connection hears.";
  return client ? html`The mailbox of client <${Name} name=${client} to="clients" />` : null;
}

function Figures({ channel }) {
  return html`<${Stats}>
    <${Stat} label="Subscribers" value=${number(channel.subscribers)} note="connections that hear it now" />
    <${Stat} label="Messages kept" value=${number(channel.messages)} note=${channel.messages ? "for who comes back" : "nothing for who comes back"} />
    ${channel.waiting !== undefined &&
    html`<${Stat} label="Waiting" value=${number(channel.waiting)} note="not written to a connection yet" />`}
    <div class="stat">
      <div class="stat-label">Position of the log</div>
      <div class="position"><code>${channel.position}</code> <${Copy} text=${channel.position} label="Copy" /></div>
      <div class="stat-note">who subscribes from there misses nothing new</div>
    </div>
  </${Stats}>`;
}
