import { BUSY, LATE_MS } from "../alarms.js";
import { bytes, bytesParts, millis, millisParts, number, percent, rate, rateParts } from "../format.js";
import { events, live } from "../live.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { condensed, sentence } from "../sentences.js";
import { useStore } from "../store.js";
import { BroadcastState, EmptyState, html, Loading, Meter, Name, Progress, Section, Segmented, Stat, State, Time, useTitle } from "../ui/kit.js";
import { Charts } from "./overview_charts.js";
import { WorkerTiles } from "./overview_workers.js";

const TRANSPORTS = [["poll", "Polls"], ["sse", "Server-sent events"], ["stream", "Streams"], ["ws", "WebSockets"]];
const RANGES = [["300", "5 min"], ["900", "15 min"], ["3600", "1 h"]];
const RANGE_TITLES = { 300: "The last 5 minutes", 900: "The last 15 minutes", 3600: "The last hour" };
const RECENT = 8;

export function Overview({ query }) {
  useTitle("Overview");
  const frame = useStore(live, (now) => now.frame);
  const range = RANGES.some(([each]) => each === query.range) ? query.range : "900";
  if (!frame) return html`<h1 class="unseen">Overview</h1><${Loading} what="Waiting for the server's first figures" />`;
  const choose = (value) => go(href("", null, { range: value }), { replace: true });
  const up = frame.workers.filter((each) => each.state === "up").length;
  return html`
    <h1 class="unseen">Overview</h1>
    <${Readings} frame=${frame} />
    <${Section} title=${RANGE_TITLES[range]} actions=${html`<${Segmented} label="Time that the charts show" options=${RANGES} value=${range} onValue=${choose} />`}>
      <${Charts} rangeS=${Number(range)} />
    </${Section}>
    <div class="overview-news">
      <${Section} title="Recent events" actions=${html`<a href=${href("events")}>All events</a>`}><${Recent} /></${Section}>
      <${Section} title="Broadcasts" actions=${html`<a href=${href("broadcasts")}>All broadcasts</a>`}>
        <${Running} broadcasts=${frame.broadcasts} />
      </${Section}>
    </div>
    <${Section} title="Workers" note=${`${up} of ${frame.workers.length} up`} actions=${html`<a href=${href("workers")}>All about workers</a>`}>
      <${WorkerTiles} workers=${frame.workers} />
    </${Section}>
  `;
}

function Readings({ frame }) {
  const waiting = TRANSPORTS.map(([key]) => frame.connections[key] ?? 0);
  const all = waiting.reduce((a, b) => a + b, 0);
  const { rates, memory, latency_ms: latency, fits, store } = frame;
  const busiest = worst(frame.workers, "cpu");
  return html`<div class="readings">
    <section class="reading-main" aria-label="Connections">
      <${Stat} label="Connections" value=${number(all)} size="large"
        note=${`wait for messages, of ${number(frame.open)} that are open`} />
      <${Meter} label="Shares of the transports" parts=${waiting.map((value, i) => [value, String(i + 1)])} whole=${all} />
      <dl class="shares">
        ${TRANSPORTS.map(
          ([key, text], i) => html`<div key=${key} class="share">
            <dt class=${`chart-key is-area is-${i + 1}`}>${text}</dt>
            <dd>${number(frame.connections[key])}</dd>
            <dd class="muted">${percent(all ? waiting[i] / all : 0)}</dd>
          </div>`,
        )}
      </dl>
    </section>
    <section class="reading-rest" aria-label="Readings">
      <${Stat} label="Room for more connections" value=${number(fits.more)} note=${html`<${Fits} fits=${fits} />`} />
      <${Stat} label="Messages out" value=${rateParts(rates.out)} note=${`in ${rate(rates.in)}, ${bytes(rates.bytes_out)}/s out`} />
      <${Stat} label="Push to write, 99th percentile" value=${millisParts(latency.p99)} note=${`median ${millis(latency.p50)}`} />
      <${Stat} label="Memory" value=${bytesParts(memory.total)} note=${known([[memory.per_connection, "a connection"], [memory.available, "left"]])} />
      <${Stat} label="Processors" value=${[number(frame.cpu, 2), `of ${number(frame.cores)}`]} tone=${frame.cpu > BUSY * frame.cores ? "warn" : ""}
        note=${busiest ? `worker ${busiest.worker} has ${percent(busiest.cpu)} of one` : null} />
      <${Stat} label="Event-loop lag, worst" value=${millisParts(frame.lag_ms)} tone=${frame.lag_ms > 5 * LATE_MS ? "bad" : frame.lag_ms > LATE_MS ? "warn" : ""}
        note="of all processes, over the last 5 s" />
    </section>
    <${Minor} rows=${[
      ["Connections accepted", rate(rates.accepts)],
      ["Requests refused", rate(rates.refused)],
      ["Requests to the API", rate(rates.requests)],
      ["Messages kept", `${number(store.messages)} in ${bytes(store.bytes)}${store.max_bytes === null ? "" : ` of ${bytes(store.max_bytes)}`}`],
      ["Messages waiting", number(store.waiting)],
    ]} />
  </div>`;
}

/** Sizes and what they are, of those that are known. */
function known(sizes) {
  return sizes.filter(([size]) => size !== null).map(([size, what]) => `${bytes(size)} ${what}`).join(", ");
}

/** The worker of which `key` is the largest; null when it is known of none. */
function worst(workers, key) {
  return workers.reduce((most, each) => (each[key] !== null && each[key] > (most?.[key] ?? -1) ? each : most), null);
}

function Minor({ rows }) {
  return html`<dl class="minor">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** What bounds the room: the lesser of the two. */
function Fits({ fits }) {
  if (fits.more === null) return null;
  const byMemory = fits.memory !== null && fits.memory < fits.descriptors;
  const row = (name, value, binds) => html`<span class=${binds ? "fits-binds" : ""}>${number(value)} by ${name}${binds ? ", which binds" : ""}</span>`;
  return html`<span class="fits">${row("descriptors", fits.descriptors, !byMemory)}${fits.memory !== null && row("memory", fits.memory, byMemory)}</span>`;
}

function Recent() {
  const all = useStore(events);
  if (all.length === 0) return html`<${EmptyState} title="Nothing has happened since the server began." />`;
  return html`<ol class="news">
    ${condensed(all, RECENT).map(({ event, more, since }) => {
      const { tone, text } = sentence(event);
      return html`<li key=${event.id} class="news-item">
        <${Time} at=${event.time} focusable=${false} />
        <${State} tone=${tone}><span class="unseen">${tone === "bad" ? "Bad: " : tone === "warn" ? "Warning: " : ""}</span></${State}>
        <span class="news-text">${text}${more > 0 && html` <span class="muted">And ${more} more like it since <${Time} at=${since} focusable=${false} />.</span>`}</span>
      </li>`;
    })}
  </ol>`;
}

function Running({ broadcasts }) {
  if (broadcasts.length === 0) return html`<p class="muted">None is under way.</p>`;
  return html`<ul class="stack">
    ${broadcasts.map(
      (each) => html`<li key=${each.id} class="stack-tight">
        <div class="row">
          <${BroadcastState} state=${each.state} />
          ${each.channel === "*" ? html`<a href=${href("broadcasts")}>to everyone</a>` : html`<span>to <${Name} name=${each.channel} to="channels" most=${28} /></span>`}
        </div>
        <${Progress} label="Written" value=${each.written} whole=${each.connections} tone=${each.state === "running" ? "accent" : ""}
          note=${each.state === "running" ? `at most ${rate(each.per_s)}` : null} />
      </li>`,
    )}
  </ul>`;
}
