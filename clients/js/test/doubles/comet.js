// A server of messages for links in a world: it numbers and keeps what is published, and brings it by all transports. What
// stands between it and the client can delay, block, cut and swallow.

import { message, sse } from "./world.js";

const PING_MS = 25_000;

export class Comet {
  /** {channel, id, data}, in order; `id` is "e-<n>" with n from 1 on */
  log = [];
  /** transports that do not come through, and how: "fail" | "hang" | "html" */
  blocked = new Map();
  /** ms until a connection is answered */
  delay = () => 0;
  #world;
  #readers = new Set();

  constructor(world) {
    this.#world = world;
    world.server = (asked) => world.environment.setTimeout(() => this.#accept(asked), this.delay());
    const ping = () => {
      for (const reader of this.#readers) reader.tell({ op: "position", position: this.head });
      world.environment.setTimeout(ping, PING_MS);
    };
    world.environment.setTimeout(ping, PING_MS);
  }

  get head() {
    return `e-${this.log.length}`;
  }

  publish(channel, data) {
    const published = { channel, id: `e-${this.log.length + 1}`, data };
    this.log.push(published);
    for (const reader of [...this.#readers]) if (reader.channels.has(channel)) reader.tell({ op: "message", ...published });
  }

  /** All connections end; `isSilent`: the client hears no more of them, and nobody tells it. */
  cut(isSilent) {
    for (const reader of this.#readers) {
      reader.asked.server = null;
      if (!isSilent) reader.end();
    }
    this.#readers.clear();
  }

  #since(channels, since) {
    const from = since === "oldest" ? 0 : since ? Number(since.slice(2)) : this.log.length;
    return this.log.slice(from).filter(({ channel }) => channels.has(channel));
  }

  #accept(asked) {
    const transport = asked.path ?? "websocket";
    const how = this.blocked.get(transport);
    if (asked.isOver || asked.state === "closed" || how === "hang") return;
    if (how === "html" && asked.path) asked.answer("<html>", { type: "text/html" });
    else if (how) (asked.path ? asked.fail() : asked.end());
    else if (asked.path === "poll") this.#poll(asked);
    else this.#stream(asked);
  }

  #stream(asked) {
    const channels = new Set(asked.channels);
    const isSocket = !asked.path;
    const missed = this.#since(channels, asked.since);
    const position = missed.length && asked.since !== "oldest" ? asked.since : missed.length ? "e-0" : this.head;
    const tell = isSocket
      ? (object) => asked.tell(object)
      : ({ op, channel, id, data, position: at }) => asked.write(op === "message" ? sse.message(channel, id, data) : sse.position(at));
    if (isSocket) asked.open(position);
    else asked.begin(sse.first(position));
    for (const { channel, id, data } of missed) tell(message(channel, id, data));
    this.#readers.add({ asked, channels, tell, end: () => (isSocket ? asked.end() : asked.fail()) });
    if (isSocket) asked.server = (object) => this.#requested(channels, asked, object);
  }

  #requested(channels, socket, { op, channels: names = [], id }) {
    for (const name of names) if (op === "subscribe") channels.add(name);
    else channels.delete(name);
    if (id !== undefined) socket.tell({ op: "ok", id, position: this.head });
  }

  #poll(asked) {
    const channels = new Set(asked.channels);
    const limit = Number(asked.url.searchParams.get("limit") ?? 100);
    let { since } = asked;
    const answer = () => {
      const messages = this.#since(channels, since).slice(0, limit);
      this.#readers.delete(reader);
      asked.answer({ position: messages.at(-1)?.id ?? this.head, messages, gap: false });
    };
    const reader = { asked, channels, tell: answer, end: () => asked.fail() };
    if (asked.timeout === "0" || this.#since(channels, since).length) return answer();
    // What comes from now on is what comes after the position of now.
    since ||= this.head;
    this.#readers.add(reader);
    const { environment } = this.#world;
    environment.setTimeout(() => this.#readers.has(reader) && answer(), 1000 * Number(asked.timeout));
  }
}
