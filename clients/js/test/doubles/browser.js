// A browser in memory: tabs that live, freeze and die, and what they share. All that passes between them, and between
// them and the server, is a task in one queue, so that a test says what happens when.

import { MegaComet } from "../../src/megacomet.js";
import { pageSurroundings } from "../../src/page.js";
import { startWorker } from "../../src/worker.js";
import { ServerDouble } from "./server.js";

export class BrowserDouble {
  server = new ServerDouble();
  now = 1_000_000;
  /** null: their script cannot be loaded. */
  workers = new Map();
  /** Only pages by https and of this machine have them. */
  hasLocks = true;
  /** What a worker is told of its name. */
  nameOf = (name) => name;
  #tasks = [];
  #timers = new Set();
  #channels = new Set();
  locks = new LocksDouble();
  #pick;

  /** @param {(count: number) => number} [pick] which of the tasks that may come next does */
  constructor(pick = () => 0) {
    this.#pick = pick;
  }

  /**
   * @param {object} [without] of the browser's means: {SharedWorker: undefined} …
   * @param {object} [storage] of the tab, which outlives its pages
   */
  open(without = {}, storage = new Map()) {
    return new TabDouble(this, without, storage);
  }

  /** Lets all happen that is under way. */
  async settle() {
    await turn();
    for (let task; (task = this.#next()); await turn()) task.run();
  }

  /** Lets some of it happen. */
  async some(count) {
    await turn();
    for (let task; count-- > 0 && (task = this.#next()); await turn()) task.run();
  }

  /** Lets time pass. */
  async pass(ms) {
    const until = this.now + ms;
    await this.settle();
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.now = Math.max(this.now, due.at);
      this.#timers.delete(due);
      this.task(due.place, due.place, () => due.act());
      await this.settle();
    }
    this.now = until;
  }

  // One of the first tasks of each sender to each receiver; what is for a frozen page waits, for a dead one is gone.
  #next() {
    this.#tasks = this.#tasks.filter(({ place }) => !place.isDead);
    const seen = new Set();
    const first = this.#tasks.filter(({ place, from }) => {
      const way = `${place.id} ${from.id}`;
      return !place.isFrozen && !seen.has(way) && seen.add(way);
    });
    const task = first[this.#pick(first.length)];
    if (task) this.#tasks.splice(this.#tasks.indexOf(task), 1);
    return task;
  }

  task(place, from, run) {
    this.#tasks.push({ place, from, run });
  }

  end(place) {
    place.isDead = true;
    this.#timers = new Set([...this.#timers].filter((timer) => timer.place !== place));
    this.#channels = new Set([...this.#channels].filter((channel) => channel.place !== place));
    for (const socket of [...place.sockets]) socket.close();
    this.locks.end(place);
  }

  // -- what a page or a worker sees of it

  environmentOf(place) {
    const browser = this;
    const toServer = { id: "server" };
    return {
      now: () => this.now,
      random: () => 0.5,
      setTimeout: (act, ms) => {
        const timer = { place, at: this.now + ms, act };
        this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        if (timer) timer.act = () => {};
        this.#timers.delete(timer);
      },
      fetch: this.server.fetchOf((run) => this.task(place, toServer, run)),
      WebSocket: this.#socketsOf(place, toServer),
      locks: this.hasLocks ? this.locks.of(this, place) : undefined,
      BroadcastChannel: class {
        constructor(name) {
          Object.assign(this, { name, place, onmessage: null });
          browser.#channels.add(this);
        }

        postMessage(data) {
          if (!browser.#channels.has(this)) throw new DOMException("it is closed", "InvalidStateError");
          const text = structuredClone(data);
          for (const other of browser.#channels) {
            if (other === this || other.name !== this.name) continue;
            browser.task(other.place, BROADCASTS, () => {
              if (browser.#channels.has(other)) other.onmessage?.({ data: structuredClone(text) });
            });
          }
        }

        close() {
          browser.#channels.delete(this);
        }
      },
      SharedWorker: class {
        onerror = null;

        constructor(url, { name }) {
          if (browser.workers) browser.start(`${url} ${name}`, name);
          else browser.task(place, place, () => this.onerror(new Event("error")));
        }
      },
    };
  }

  #socketsOf(place, toServer) {
    const Socket = this.server.socketsOf((run) => this.task(place, toServer, run));
    return class extends Socket {
      constructor(url) {
        super(url);
        place.sockets.push(this);
      }
    };
  }

  /** Starts a shared worker, once. */
  start(key, name) {
    if (this.workers.has(key)) return;
    const worker = { id: `worker ${key}`, sockets: [], isFrozen: false, isDead: false };
    this.workers.set(key, worker);
    const environment = { ...this.environmentOf(worker), SharedWorker: undefined };
    startWorker({ name: this.nameOf(name) }, pageSurroundings(environment));
  }
}

/** A channel brings all its messages in one order, whoever sent them. */
const BROADCASTS = { id: "broadcasts" };

const turn = () => new Promise((resolve) => setImmediate(resolve));

let tabs = 0;

/** A page in a tab. */
export class TabDouble {
  isFrozen = false;
  isDead = false;
  sockets = [];
  id = `tab ${++tabs}`;
  /** [channel, data] of what was told, in order. */
  told = [];
  /** Names and events of all else. */
  events = [];
  #browser;

  constructor(browser, without, storage) {
    this.#browser = browser;
    this.storage = storage;
    this.page = Object.assign(new EventTarget(), {
      location: new URL("https://shop.example/page"),
      sessionStorage: { getItem: (key) => storage.get(key) ?? null, setItem: (key, value) => storage.set(key, value) },
    });
    this.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
    this.environment = {
      ...browser.environmentOf(this),
      page: this.page,
      document: this.document,
      connection: new EventTarget(),
      own: "https://shop.example/megacomet.mjs",
      ...without,
    };
  }

  /** Makes the page's connection; what it tells is noted. */
  comet(options = {}) {
    const comet = new MegaComet("https://comet.example/", { environment: this.environment, ...options });
    comet.on("message", ({ channel, data }) => this.told.push([channel, data]));
    for (const name of ["connecting", "connected", "disconnected", "gap", "error"]) {
      comet.on(name, (event) => this.events.push([name, event]));
    }
    return comet;
  }

  /** What was told of a channel. */
  of(channel) {
    return this.told.filter(([each]) => each === channel).map(([, data]) => data);
  }

  /** Something happens to the page: "pagehide", "freeze" … */
  signal(name) {
    const target = ["visibilitychange", "freeze", "resume"].includes(name) ? this.document : this.page;
    target.dispatchEvent(new Event(name));
  }

  /** The user leaves the page: it is told, and then it is gone. */
  close() {
    this.signal("pagehide");
    this.die();
  }

  /** It is gone, and was told nothing. */
  die() {
    this.#browser.end(this);
  }
}

/** Web Locks of one origin. */
class LocksDouble {
  /** How many are held or waited for. */
  get count() {
    return this.#held.size + this.#waiting.length;
  }

  #held = new Map(); // name → {place, callback, reject}
  #waiting = []; // {name, place, callback, resolve, reject}

  of(browser, place) {
    return {
      request: (name, ...rest) =>
        new Promise((resolve, reject) => {
          const callback = rest.pop();
          const { signal, steal } = rest[0] ?? {};
          const asked = { name, place, callback, resolve, reject, browser };
          if (signal?.aborted) return reject(signal.reason);
          signal?.addEventListener("abort", () => {
            if (!this.#waiting.includes(asked)) return;
            this.#waiting = this.#waiting.filter((each) => each !== asked);
            reject(signal.reason);
          });
          if (steal) {
            const last = this.#held.get(name);
            this.#held.delete(name);
            if (last) browser.task(last.place, BROADCASTS, () => last.reject(new DOMException("stolen", "AbortError")));
            this.#waiting.unshift(asked);
          } else this.#waiting.push(asked);
          return this.#grant();
        }),
    };
  }

  end(place) {
    this.#waiting = this.#waiting.filter((asked) => asked.place !== place);
    for (const [name, held] of this.#held) if (held.place === place) this.#held.delete(name);
    this.#grant();
  }

  #grant() {
    for (const asked of [...this.#waiting]) {
      if (this.#held.has(asked.name)) continue;
      this.#waiting = this.#waiting.filter((each) => each !== asked);
      this.#held.set(asked.name, asked);
      asked.browser.task(asked.place, BROADCASTS, async () => {
        try {
          asked.resolve(await asked.callback());
        } catch (error) {
          asked.reject(error);
        }
        if (this.#held.get(asked.name) !== asked) return;
        this.#held.delete(asked.name);
        this.#grant();
      });
    }
  }
}
