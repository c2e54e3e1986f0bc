// A tab's end of a connection that is shared. To the tab it is a link, with its own channels and position. The connection
// behind it is the browser's, and may be another one tomorrow: whenever the tab has joined a hub, it catches up by itself
// with what it was not told, while what comes live on these channels waits.

import { after } from "./environment.js";
import { hubName } from "./hub.js";
import { fetchMissed } from "./missed.js";
import { Publications } from "./publications.js";
import { ToldIds } from "./told.js";
import { openLeader, openWorker } from "./ways.js";

const WAYS = [openWorker, openLeader];
/** So long a hub may take to answer; it is a worker or a page of this browser. */
const PATIENCE_MS = 3000;
const ASK_MS = 30_000;
/** What cannot be fetched in so long is a gap. */
const MISSED_MS = 60_000;
/** A request's head has at most 8 KB. */
const MOST_NAMES = 32;

export class SharedLink {
  /** Where all up to was told: behind the cursor while something is caught up with. */
  position;
  #cursor;
  #options;
  #tell;
  #hub;
  #own; // what comes without being subscribed to
  /** channel → what it catches up with, {since, waiting, held, abort}, or null; `waiting`: channels that are not live */
  #channels;
  #ids = new ToldIds();
  #publications = new Publications();
  /** To the hub, as to a server; null when nothing is wanted. */
  #line = null;
  #way = null;
  #joined; // which hub
  #unask;
  #calm = () => {};
  #free = () => {};

  /** As a Link, see there; `environment`: of page.js. When nothing can be shared it tells {type: "alone", channels}. */
  constructor(options, tell) {
    const { client, since } = options;
    this.#options = options;
    this.#tell = tell;
    this.#hub = hubName(options);
    this.#own = client ? ["*", `@${client}`] : ["*"];
    this.#channels = new Map(this.#own.map((channel) => [channel, null]));
    this.#cursor = since;
    this.position = since === "oldest" ? "" : since;
  }

  connect() {
    if (this.#line) return this.#send({ op: "connect" });
    const { locks } = this.#options.environment;
    const name = Math.random().toString(36).slice(2);
    const line = (this.#line = { name, transport: "websocket", isOpen: false, send: (body) => this.#send(body) });
    this.#say("connecting");
    const begin = () => {
      if (this.#line !== line) return undefined;
      this.#reach(0);
      return new Promise((free) => {
        this.#free = free;
      });
    };
    if (locks) locks.request(`${this.#hub} ${name}`, begin).catch(() => this.#line === line && this.#reach(WAYS.length));
    else begin();
    this.#ask();
  }

  disconnect() {
    if (!this.#line) return;
    this.#leave();
    this.#say("disconnected");
  }

  subscribe(channel, since = "") {
    if (this.#channels.has(channel)) return;
    this.#channels.set(channel, null);
    if (since) this.#catchUp([channel], since);
    this.#send({ op: "subscribe", channel });
  }

  unsubscribe(channel) {
    if (!this.#remove(channel)) return;
    this.#send({ op: "unsubscribe", channel });
    this.#tell({ type: "unsubscribed", channel, code: 0, reason: "" });
  }

  publish(channel, data, key) {
    return this.#publications.publish("connected", this.#line, { op: "publish", channel, data, key });
  }

  wake(reason) {
    if (this.#joined) this.#expect({ op: "wake", reason });
  }

  // -- to the hub

  #reach(level) {
    const { environment } = this.#options;
    this.#send({ op: "leave" });
    this.#way?.close();
    this.#way = null;
    if (level === WAYS.length) return this.#goAlone();
    let way;
    const isMine = () => way && this.#way === way;
    try {
      way = WAYS[level](
        this.#hub,
        this.#line.name,
        environment,
        (body, hub) => isMine() && this.#heard(body, hub),
        () => isMine() && this.#reach(level + 1),
      );
    } catch {
      return this.#reach(level + 1);
    }
    this.#way = way;
    this.#join();
  }

  #join() {
    this.#out();
    this.#calm();
    const channels = [...this.#channels.keys()].slice(this.#own.length);
    this.#expect({ op: "join", channels });
  }

  #send(body) {
    this.#way?.send(body);
  }

  // Says something that is answered. The answer to a page that was asleep, or busy, lies behind the first half.
  #expect(body) {
    const { environment } = this.#options;
    this.#send(body);
    this.#calm();
    this.#calm = after(environment, PATIENCE_MS / 2, () => {
      this.#calm = after(environment, PATIENCE_MS / 2, () => this.#way.silent());
    });
  }

  #ask() {
    this.#unask = after(this.#options.environment, ASK_MS, () => {
      if (this.#joined) this.#expect({ op: "ask" });
      this.#ask();
    });
  }

  // What was sent and not answered may have arrived or not.
  #out() {
    this.#joined = undefined;
    this.#line.isOpen = false;
    this.#publications.lost();
  }

  #leave() {
    this.#out();
    this.#publications.waiting();
    this.#line = null;
    this.#send({ op: "leave" });
    this.#way?.close();
    this.#way = null;
    this.#free();
    this.#unask();
    this.#calm();
  }

  #goAlone() {
    this.#leave();
    const channels = [...this.#channels].slice(this.#own.length);
    this.#tell({ type: "alone", channels: channels.map(([channel, catchUp]) => [channel, catchUp?.since]) });
  }

  // -- from the hub

  #heard(body, hub) {
    const { op, at, event } = body;
    if (op === "here") return this.#join();
    if (op === "alone") return this.#goAlone();
    if (op === "nobody") return this.#way.silent();
    if (op === "joined") this.#joined = hub;
    if (this.#joined !== hub) return;
    if (op !== "passed") this.#calm();
    if (op === "joined") this.#entered(body);
    this.#stand(at);
    if (op === "event") this.#event(event);
    else this.#publications.answered(body);
  }

  #entered({ state }) {
    const groups = {};
    for (const [channel, catchUp] of this.#channels) {
      catchUp?.abort.abort();
      const since = catchUp?.since ?? this.#cursor;
      if (since) (groups[since] ??= []).push(channel);
    }
    for (const since in groups) this.#catchUp(groups[since], since);
    if (state.state === "connected") this.#event(state);
    this.#line.isOpen = true;
    this.#publications.opened(this.#line);
  }

  #event(event) {
    const { type, channel, channels, position } = event;
    const catchUp = this.#channels.get(channel);
    if (type === "gap") this.#gap(channels, position);
    else if (channel && catchUp === undefined) return;
    else if (type !== "message") {
      if (type === "unsubscribed") this.#remove(channel);
      this.#tell(event);
      this.#live(channel);
      if (event.state === "connected") for (const own of this.#own) this.#live(own);
    } else if (catchUp) catchUp.held.push(event);
    else this.#message(event);
  }

  #message(message) {
    if (this.#ids.add(message.id)) this.#tell(message);
  }

  #gap(channels, position) {
    const heard = channels.filter((channel) => this.#channels.has(channel));
    if (heard.length) this.#tell({ type: "gap", channels: heard, position });
  }

  #stand(position) {
    if (position) this.#cursor = position;
    if (position && ![...this.#channels.values()].some(Boolean)) this.position = position;
  }

  #say(state) {
    this.#tell({ type: "state", state, transport: "", code: 0, reason: "", delay: 0 });
  }

  // -- catching up

  #catchUp(channels, since) {
    for (let from = 0; from < channels.length; from += MOST_NAMES) {
      const group = channels.slice(from, from + MOST_NAMES);
      const catchUp = { since, waiting: new Set(group), held: [], abort: new AbortController() };
      for (const channel of group) this.#channels.set(channel, catchUp);
    }
  }

  #live(channel) {
    const catchUp = this.#channels.get(channel);
    if (catchUp?.waiting.delete(channel) && !catchUp.waiting.size) this.#fetch(catchUp);
  }

  #remove(channel) {
    this.#live(channel); // others may have waited for it
    return this.#channels.delete(channel);
  }

  async #fetch(catchUp) {
    const { client, environment } = this.#options;
    const { abort, held } = catchUp;
    const mine = () => [...this.#channels.keys()].filter((channel) => this.#channels.get(channel) === catchUp);
    const channels = mine().filter((channel) => !this.#own.includes(channel));
    const call = { ...this.#options, channels, client: mine().length > channels.length ? client : "", since: catchUp.since };
    // Who hears nothing but `*` has to name some channel.
    if (!call.client && !channels.length) channels.push("-");
    const unlimit = after(environment, MISSED_MS, () => abort.abort());
    let isAll = false;
    try {
      await fetchMissed(call, abort.signal, ({ messages, gaps = [], position }) => {
        catchUp.since = position;
        this.#gap(gaps.filter((channel) => this.#channels.get(channel) === catchUp), position);
        for (const { channel, id, data } of messages) {
          if (this.#channels.get(channel) === catchUp) this.#message({ type: "message", channel, id, data });
        }
        return messages.some(({ id }) => held.some((message) => message.id === id));
      });
      isAll = !abort.signal.aborted;
    } catch {
      // a gap
    }
    unlimit();
    const left = mine();
    if (!left.length) return;
    for (const channel of left) this.#channels.set(channel, null);
    if (!isAll) this.#gap(left, catchUp.since);
    for (const message of held) if (this.#channels.has(message.channel)) this.#message(message);
    this.#stand(this.#cursor);
  }
}
