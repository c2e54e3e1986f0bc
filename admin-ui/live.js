// The live frames and the events, by one EventSource for the whole page: kept while the tab is seen and somebody is
// signed in, dialled again when it breaks. Pages read the stores `live` and `events` and the `trends`.

import * as api from "./api.js";
import { learn, serverNow } from "./clock.js";
import { TYPES } from "./sentences.js";
import { resume, session } from "./session.js";
import { snapshot } from "./snapshot.js";
import { createStore } from "./store.js";
import { Trends } from "./trends.js";

/** Frames come each second; when none has come for so long, what is shown is old. */
const STALE_MS = 4000;
/** Whoever looks into another tab for a moment has no new stream to wait for. */
const HIDDEN_MS = 15_000;
const MOST_EVENTS = 1000;
/** So many dials without a frame, though the server answers, and its stream is held back. */
const HELD_AFTER = 2;
/** Of the figures that are asked for then; the server takes them every 5 s. */
const POLL_MS = 5000;
const BACK_OFF_MS = [500, 1000, 2000, 4000, 8000];

/**
 * @typedef {"connecting" | "live" | "stale" | "held" | "lost" | "offline" | "paused"} Phase
 * connecting: the first time; stale: it is open, and nothing comes; held: the same again and again, so figures are asked
 * for every 5 s; lost: the server does not answer; paused: the tab is hidden.
 * @typedef {{phase: Phase, frame: any, at: number, restartedAt: number | null, lostAt: number | null}} Live
 * `frame`: the newest, or null; `at`: when it came, `restartedAt`: when the server was seen to be another one,
 * `lostAt`: since when there is nothing new; unix seconds by the server's clock.
 */
const NOTHING = { phase: "connecting", frame: null, at: 0, restartedAt: null, lostAt: null };

export const live = createStore(NOTHING);
/** Newest first: [{id, type, time, data}], the last thousand. */
export const events = createStore([]);
/** The last hour, see trends.js; it changes with each frame of `live`. */
export const trends = new Trends();

/** Whether the server has other pages by now than those that are shown here. */
export const outdated = createStore(false);
/** Where the files of this page lie: by their hash. */
const PLACE = new URL(".", import.meta.url).pathname;

let source = null;
let lastId = "";
let failures = 0;
let redial = 0;
let watch = 0;
let hide = 0;
let polling = 0;
let isSigned = false;
let pending = [];
/** The start of the server that was last heard of, also by who was signed in before. */
let epoch = null;

function change(part) {
  live.set({ ...live.get(), ...part });
}

function lost(phase) {
  change({ phase, lostAt: live.get().lostAt ?? (live.get().at || serverNow()) });
}

function shut() {
  source?.close();
  source = null;
  clearTimeout(redial);
  clearTimeout(watch);
}

function open() {
  shut();
  if (session.get().state !== "in") return;
  source = new EventSource(api.url("/events", { live: 1, kept: 1, lastEventId: lastId }));
  source.addEventListener("live", (event) => framed(JSON.parse(event.data)));
  source.addEventListener("position", noted);
  source.addEventListener("gap", (event) => {
    noted(event);
    add({ id: `gap-${serverNow()}`, type: "gap", time: events.get()[0]?.time ?? serverNow(), data: {} });
  });
  for (const type of TYPES) source.addEventListener(type, happened);
  source.onerror = failed;
  expect();
}

// Something in between that holds the stream back shows no error: only that nothing comes.
function expect() {
  clearTimeout(watch);
  watch = setTimeout(() => {
    if (live.get().phase === "live") {
      lost("stale");
      expect();
    } else failed();
  }, STALE_MS);
}

function failed() {
  shut();
  // A machine without a network still reaches itself, so the browser's opinion only says why, and stops nothing.
  if (!polling) lost(navigator.onLine === false ? "offline" : "lost");
  const wait = BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)];
  failures += 1;
  redial = setTimeout(dial, wait * (0.75 + Math.random() / 2));
}

async function dial() {
  // An EventSource does not say why it was refused. When it was the session, this tells, and the page asks for the key.
  const answered = await resume();
  if (source || document.hidden || session.get().state !== "in") return;
  if (!answered) {
    unpoll();
    failed();
    return;
  }
  if (failures >= HELD_AFTER) poll();
  open();
}

// The server answers, its stream does not come through (a proxy that buffers; too many readers): better late than never.
function poll() {
  if (polling) return;
  const ask = async () => {
    try {
      const [stats, workers, told] = await Promise.all([api.get("/stats"), api.get("/workers"), api.get("/trends")]);
      if (!polling) return;
      trends.load(told);
      const frame = snapshot(stats, workers, told, live.get().frame);
      learn(frame.time);
      live.set({ ...live.get(), phase: "held", frame, at: serverNow(), lostAt: null });
    } catch {
      // dial() sees whether the server answers, and this goes on until it says no.
    }
  };
  polling = setInterval(ask, POLL_MS);
  ask();
}

function unpoll() {
  clearInterval(polling);
  polling = 0;
}

function noted(event) {
  lastId = event.lastEventId;
}

function happened(event) {
  lastId = event.lastEventId;
  const data = JSON.parse(event.data);
  const time = Date.parse(data.time) / 1000;
  add({ id: event.lastEventId, type: event.type, time: Number.isFinite(time) ? time : serverNow(), data });
}

// A thousand kept events come at once, and are told at once.
function add(event) {
  if (pending.push(event) === 1) setTimeout(flush, 30);
}

function flush() {
  const known = new Set(events.get().map((each) => each.id));
  const fresh = pending.reverse().filter((each) => !known.has(each.id));
  pending = [];
  // A restart is known later than what came after it; what has one time stays in the order of its coming.
  const all = [...fresh, ...events.get()].sort((a, b) => b.time - a.time);
  events.set(all.slice(0, MOST_EVENTS));
}

function framed(frame) {
  learn(frame.time);
  failures = 0;
  unpoll();
  expect();
  const before = live.get();
  const other = before.frame !== null && before.frame.epoch !== frame.epoch;
  const restartedAt = other ? begun(frame, before.at) : before.restartedAt;
  if (other) add({ id: `restarted-${frame.epoch}`, type: "restarted", time: restartedAt, data: { version: frame.version } });
  if (epoch !== null && epoch !== frame.epoch) compare();
  epoch = frame.epoch;
  if (trends.last === null || frame.time - trends.last > 10) load();
  trends.append(frame);
  live.set({ phase: "live", frame, at: serverNow(), restartedAt, lostAt: null });
}

/** When the manager of a frame began, if that can be between what was seen last and now. */
function begun(frame, lastSeen) {
  const started = Date.parse(frame.started) / 1000;
  return started >= lastSeen - 1 && started <= serverNow() ? started : serverNow();
}

/** A server that began anew may be one of another version, while this page goes on. */
async function compare() {
  try {
    const answer = await fetch("/console/", { cache: "no-cache" });
    if (answer.ok) outdated.set(!(await answer.text()).includes(PLACE));
  } catch {
    // Then it has gone again, and the next start asks again.
  }
}

let loading = false;
async function load() {
  if (loading) return;
  loading = true;
  try {
    trends.load(await api.get("/trends"));
    change({}); // whoever draws draws again
  } catch {
    // The charts begin now; the next gap asks again.
  } finally {
    loading = false;
  }
}

/** The banner about the restart has been read. */
export function seen() {
  change({ restartedAt: null });
}

/** Try again at once. */
export function retry() {
  failures = 0;
  open();
}

// The session is told anew each time that it is looked at; only its beginning and its end count here.
function signed() {
  const { state } = session.get();
  if (state === "in" && !isSigned) {
    isSigned = true;
    if (!document.hidden) open();
  }
  if (state === "out" && isSigned) {
    isSigned = false;
    shut();
    unpoll();
    lastId = "";
    failures = 0;
    live.set(NOTHING);
    pending = [];
    events.set([]);
    trends.clear();
  }
}

/** Keep the stream from now on, for as long as the page is open. */
export function begin() {
  session.subscribe(signed);
  signed();
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (!document.hidden) {
      if (!source || live.get().phase !== "live") retry();
      return;
    }
    hide = setTimeout(() => {
      shut();
      unpoll();
      if (session.get().state === "in") lost("paused");
    }, HIDDEN_MS);
  });
  addEventListener("online", () => document.hidden || retry());
  addEventListener("pageshow", (event) => event.persisted && retry());
}
