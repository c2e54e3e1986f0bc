// A server in memory, as far as the library sees one: WebSockets, and polls that do not wait. What it is asked for and
// what it says goes through the browser double's queue.

export class ServerDouble {
  /** Sockets that are open. */
  sockets = new Set();
  /** Addresses that were asked for, of both kinds. */
  asked = [];
  /** Whether connections fail. */
  isDown = false;
  /** So many of the oldest messages are no longer kept. */
  lost = 0;
  /** What polls answer with, of the messages that there are. */
  answers = (messages) => messages;
  #log = [];

  /** @returns {string} the message's id */
  publish(channel, data) {
    const id = `e-${this.#log.length + 1}`;
    const message = { channel, id, data };
    this.#log.push(message);
    for (const socket of this.sockets) if (socket.hears(channel)) socket.give({ op: "message", ...message });
    return id;
  }

  /** Closes all sockets. */
  cut(code = 3001, reason = "") {
    for (const socket of [...this.sockets]) socket.end(code, reason);
  }

  get head() {
    return `e-${this.#log.length}`;
  }

  missed(hears, since) {
    const from = since === "oldest" ? 0 : since === "" ? this.#log.length : Number(since.slice("e-".length));
    const messages = this.#log.slice(Math.max(from, this.lost)).filter(({ channel }) => hears(channel));
    return { messages, isGap: from < this.lost };
  }

  /** Of a tab: its `fetch`. */
  fetchOf(queue) {
    return (url, { signal }) =>
      new Promise((resolve, reject) => {
        const fail = () => reject(signal.reason);
        signal?.addEventListener("abort", fail);
        this.asked.push(url);
        queue(() => {
          signal?.removeEventListener("abort", fail);
          if (this.isDown) return reject(new TypeError("fetch failed"));
          const [hears, channels, since] = wanted(url);
          const { messages, isGap } = this.missed(hears, since);
          const body = { position: this.head, messages: this.answers(messages), gap: isGap };
          return resolve(Response.json(isGap ? { ...body, gaps: channels } : body));
        });
      });
  }

  /** Of a tab: its class of WebSockets. */
  socketsOf(queue) {
    const server = this;
    return class extends SocketDouble {
      constructor(url) {
        super(server, url, queue);
      }
    };
  }
}

function wanted(url) {
  const query = new URL(url).searchParams;
  const channels = query.getAll("channel");
  if (query.has("client")) channels.push(`@${query.get("client")}`);
  return [(channel) => channel === "*" || channels.includes(channel), channels, query.get("since") ?? ""];
}

class SocketDouble {
  onmessage = null;
  onclose = null;
  onopen = null;
  #server;
  #queue;
  #channels;
  #isClosed = false;

  constructor(server, url, queue) {
    this.#server = server;
    this.#queue = queue;
    server.asked.push(url);
    const [, channels, since] = wanted(url);
    this.#channels = new Set(channels);
    queue(() => {
      if (this.#isClosed) return undefined;
      if (server.isDown) return this.onclose?.({ code: 1006, reason: "" });
      server.sockets.add(this);
      const { messages, isGap } = server.missed((channel) => this.hears(channel), since);
      this.give({ op: "position", position: messages.length ? since : server.head });
      if (isGap) for (const channel of channels) this.give({ op: "gap", channel, position: server.head });
      for (const message of messages) this.give({ op: "message", ...message });
      return undefined;
    });
  }

  hears(channel) {
    return channel === "*" || this.#channels.has(channel);
  }

  give(object) {
    const data = JSON.stringify(object);
    this.#queue(() => this.onmessage?.({ data }));
  }

  send(text) {
    this.#queue(() => {
      if (!this.#server.sockets.has(this)) return;
      const { op, channels, channel, data, id } = JSON.parse(text);
      if (op === "subscribe") for (const each of channels) this.#channels.add(each);
      if (op === "unsubscribe") for (const each of channels) this.#channels.delete(each);
      if ([channel, channels?.[0]].includes("forbidden")) this.give({ op: "error", id, code: 103, message: "no" });
      else if (op === "publish") this.give({ op: "ok", id, message: this.#server.publish(channel, data) });
      else this.give({ op: "ok", id, position: this.#server.head });
    });
  }

  end(code, reason) {
    this.#server.sockets.delete(this);
    this.#queue(() => this.onclose?.({ code, reason }));
  }

  close() {
    this.#isClosed = true;
    this.#server.sockets.delete(this);
  }
}
