// A tab's end of a connection that is shared. To the tab it is a link, with its own channels and position. The
// connection behind it is the browser's, and may be another one tomorrow: whenever the tab has joined a hub, its
// channels catch up by themselves with what it was not told, while what comes live on them waits.

import { Channels } from "./channels.js";
import { after } from "./environment.js";
import { hubName } from "./hub.js";
import { Publications } from "./publications.js";
import { openTable } from "./table.js";

/** Twice so long a hub may take to answer; it is a worker or a page of this browser. */
const PATIENCE_MS = 1500;
const ASK_MS = 30_000;

export class SharedLink {
  #options;
  #tell;
  #channels;
  #publications = new Publications();
  /** To the hub, as to a server; null when nothing is wanted. */
  #line = null;
  #table = null;
  #joined; // which hub
  #unask;
  #calm = () => {};
  #free = () => {};

  /** As a Link, see there; `environment`: of page.js. When nothing can be shared it tells {type: "alone", …} once. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
    this.#channels = new Channels(options, tell);
    // What comes without being subscribed to is caught up with, too.
    this.#channels.add("*", "");
    if (options.client) this.#channels.add(`@${options.client}`, "");
  }

  get position() {
    return this.#channels.position;
  }

  connect() {
    if (this.#line) return this.#send({ op: "connect" });
    const { locks } = this.#options.environment;
    const name = Math.random().toString(36).slice(2);
    const line = { name, transport: "websocket", isOpen: false, send: (body) => this.#send(body) };
    this.#line = line;
    this.#say("connecting");
    this.#ask();
    const begin = () => {
      if (this.#line !== line) return undefined;
      this.#open();
      return new Promise((free) => {
        this.#free = free;
      });
    };
    const fail = () => this.#line === line && this.#goAlone();
    if (locks) locks.request(`${hubName(this.#options)} ${name}`, begin).catch(fail);
    else begin();
  }

  disconnect() {
    if (!this.#line) return;
    this.#leave();
    this.#say("disconnected");
  }

  subscribe(channel, since = "") {
    if (this.#channels.wanted.has(channel)) return;
    this.#channels.add(channel, since);
    this.#send({ op: "subscribe", channel });
  }

  unsubscribe(channel) {
    this.#channels.remove(channel);
    this.#send({ op: "unsubscribe", channel });
  }

  publish(channel, data, key) {
    return this.#publications.publish(this.#line, { op: "publish", channel, data, key });
  }

  wake(reason) {
    if (this.#joined) this.#expect({ op: "wake", reason });
  }

  // -- to the hub

  #open() {
    const { environment } = this.#options;
    let table;
    const ifMine = (act) => (...told) => table && table === this.#table && act(...told);
    const hear = ifMine((body, hub) => this.#heard(body, hub));
    try {
      table = openTable(hubName(this.#options), this.#line.name, environment, hear, ifMine(() => this.#goAlone()));
    } catch {
      return this.#goAlone();
    }
    this.#table = table;
    this.#join();
  }

  #join() {
    this.#out();
    this.#expect({ op: "join", channels: [...this.#channels.wanted.keys()] });
  }

  #send(body) {
    this.#table?.send(body);
  }

  // Says what is answered. To a page that was asleep, or busy, the answer has come when half of the time is over.
  #expect(body) {
    const wait = (act) => {
      this.#calm();
      this.#calm = after(this.#options.environment, PATIENCE_MS, act);
    };
    this.#send(body);
    wait(() => wait(() => this.#table.silent()));
  }

  #ask() {
    this.#unask = after(this.#options.environment, ASK_MS, () => {
      if (this.#joined) this.#expect({ op: "ask" });
      this.#ask();
    });
  }

  // No hub any more; what was asked of it may have been done or not.
  #out() {
    this.#joined = 0;
    this.#line.isOpen = false;
    this.#publications.lost();
  }

  #leave() {
    this.#out();
    this.#channels.lost();
    this.#publications.settle();
    this.#send({ op: "leave" });
    this.#table?.close();
    this.#table = this.#line = null;
    this.#free();
    this.#unask();
    this.#calm();
  }

  #goAlone() {
    this.#leave();
    this.#tell({ type: "alone", since: this.#channels.cursor, channels: this.#channels.wanted });
  }

  // -- from the hub

  #heard(body, hub) {
    const { op, at, event } = body;
    if (op === "here") return this.#join();
    if (op === "alone") return this.#goAlone();
    if (op === "joined" && hub !== this.#joined) this.#enter(hub); // it may have been asked twice
    if (this.#joined !== hub) return;
    this.#calm();
    if (event) this.#event(event);
    else this.#publications.answered(body);
    if (at) this.#channels.stand(at);
  }

  #enter(hub) {
    const { wanted, cursor } = this.#channels;
    this.#joined = hub;
    this.#channels.lost();
    for (const record of wanted.values()) record.since ||= cursor;
    this.#line.isOpen = true;
    this.#publications.settle(this.#line);
  }

  #event(event) {
    const { type, channel, code, reason } = event;
    const channels = this.#channels;
    if (type === "message") channels.message(event);
    else if (type === "gap") channels.gap(event);
    else if (type === "subscribed") channels.settle(channel);
    else if (type === "unsubscribed") channels.remove(channel, { code, message: reason });
    else if (type !== "position") this.#tell(event);
  }

  #say(state) {
    this.#tell({ type: "state", state, transport: "", code: 0, reason: "", delay: 0 });
  }
}
