// The surroundings of a link in tests: a clock that is turned by hand, sockets and requests that are answered by hand.

/** Lets all that is under way without time come to rest. */
export async function settle() {
  for (let turn = 0; turn < 8; turn++) await new Promise((go) => setImmediate(go));
}

export class World {
  time = 1_000_000;
  sockets = [];
  requests = [];
  /** ms of each timer that was set, in order */
  delays = [];
  /** ms: timers are due at multiples of it only, as in a page that nobody sees */
  grain = 1;
  /** Answers what is opened, by itself: sockets and requests. */
  server = () => {};
  #timers = new Map();
  #lastTimer = 0;

  /** @param {() => number} random */
  constructor(random = () => 0.5, { hasWebSocket = true } = {}) {
    const world = this;
    this.environment = {
      WebSocket: hasWebSocket
        ? class extends Socket {
            constructor(...given) {
              super(...given);
              world.sockets.push(this);
              queueMicrotask(() => world.server(this));
            }
          }
        : undefined,
      fetch: (url, options) =>
        new Promise((resolve, reject) => {
          const asked = new Asked(url, options, resolve, reject);
          world.requests.push(asked);
          queueMicrotask(() => world.server(asked));
        }),
      setTimeout: (act, ms) => {
        world.delays.push(ms);
        const due = Math.ceil((world.time + ms) / world.grain) * world.grain;
        world.#timers.set(++world.#lastTimer, { due, act });
        return world.#lastTimer;
      },
      clearTimeout: (timer) => world.#timers.delete(timer),
      now: () => world.time,
      random,
    };
  }

  get timers() {
    return this.#timers.size;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get request() {
    return this.requests.at(-1);
  }

  /** Time goes on; timers are called when they are due. */
  async pass(ms) {
    const until = this.time + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.due <= until).sort(([, a], [, b]) => a.due - b.due)[0];
      if (!due) break;
      const [name, { due: at, act }] = due;
      this.#timers.delete(name);
      this.time = Math.max(this.time, at);
      act();
      await settle();
    }
    this.time = until;
  }

  /** The machine sleeps: the clock on the wall goes on, and no timer is called. */
  sleep(ms) {
    this.time += ms;
  }
}

class Socket {
  sent = [];
  state = "connecting";
  /** Hears what is sent, when somebody answers by itself. */
  server = null;

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  send(text) {
    if (this.state !== "open") throw new Error(`a socket that is ${this.state} cannot send`);
    const object = JSON.parse(text);
    this.sent.push(object);
    this.server?.(object);
  }

  close() {
    this.state = "closed";
  }

  // -- what the server does

  get channels() {
    return this.url.searchParams.getAll("channel");
  }

  get since() {
    return this.url.searchParams.get("since") ?? "";
  }

  open(position) {
    this.state = "open";
    this.onopen?.({});
    if (position) this.tell({ op: "position", position });
  }

  tell(...objects) {
    for (const object of objects) this.say(JSON.stringify(object));
  }

  say(data) {
    if (this.state === "open") this.onmessage?.({ data });
  }

  end(code = 1006, reason = "") {
    if (this.state === "closed") return;
    this.state = "closed";
    this.onerror?.({});
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

class Asked {
  isOver = false;
  #resolve;
  #reject;
  #stream;

  constructor(url, options, resolve, reject) {
    this.url = new URL(url);
    this.options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const abort = () => this.fail(new DOMException("aborted", "AbortError"));
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort);
  }

  get path() {
    return this.url.pathname.split("/").at(-1);
  }

  get channels() {
    return this.url.searchParams.getAll("channel");
  }

  get since() {
    return this.url.searchParams.get("since") ?? "";
  }

  get timeout() {
    return this.url.searchParams.get("timeout");
  }

  /** The whole answer. */
  answer(body, { status = 200, type = "application/json", headers = {} } = {}) {
    this.isOver = true;
    const text = typeof body === "string" || body === null ? body : JSON.stringify(body);
    this.#resolve(new Response(text, { status, statusText: `is ${status}`, headers: { "Content-Type": type, ...headers } }));
  }

  /** The head of a stream, and its first bytes. */
  begin(text, type = "text/event-stream; charset=utf-8") {
    const body = new ReadableStream({ start: (stream) => (this.#stream = stream) });
    this.#resolve(new Response(body, { headers: { "Content-Type": type } }));
    this.write(text);
  }

  write(text) {
    if (this.isOver) return;
    this.#stream.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text);
  }

  end() {
    this.isOver = true;
    this.#stream.close();
  }

  fail(error = new TypeError("fetch failed")) {
    if (this.isOver) return;
    this.isOver = true;
    this.#stream?.error(error);
    this.#reject(error);
  }
}

/** The events of a stream, as the server writes them. */
export const sse = {
  position: (position) => `event: position\nid: ${position}\ndata: {}\n\n`,
  first: (position, retry = 2000) => `retry: ${retry}\n${sse.position(position)}`,
  message: (channel, id, data) => `id: ${id}\ndata: ${JSON.stringify({ channel, data })}\n\n`,
  gap: (channels, position) => `event: gap\nid: ${position}\ndata: ${JSON.stringify({ channels })}\n\n`,
};

export const message = (channel, id, data = id) => ({ op: "message", channel, id, data });
