// One connection by one transport, from its opening to its end. It knows whether the server is still there; what comes
// it hands on, and what to do when it ends is the link's.

import { broken } from "./advice.js";
import { after } from "./environment.js";
import { POLL_S, openEvents, openPolls, openWebSocket } from "./transports.js";

/**
 * Of each transport: how it is opened; how long it may take to show that it works (nothing comes after polls, and a slow
 * network needs its time); how long it may be silent: pings come every 25 s, and a poll waits for its time.
 */
const TRANSPORTS = {
  websocket: { open: openWebSocket, patience: 5000, silence: 60_000 },
  sse: { open: openEvents, patience: 5000, silence: 60_000 },
  poll: { open: openPolls, patience: 20_000, silence: 1000 * POLL_S + 15_000 },
};
/** So long is waited for the answer to "are you there?". */
const SHORT_PATIENCE_MS = 5000;
const LOOK_MS = 15_000;
/** More than the server lets pass between two signs of life: a stream that was heard since then is alive. */
const QUIET_MS = 30_000;

/** @returns {boolean} whether the environment has what the transport needs, and there is something to ask for */
export function canOpen(transport, { environment, channels, client }) {
  return transport === "websocket" ? !!environment.WebSocket : client !== "" || channels.length > 0;
}

/** A connection; `on.hear(line, object)` as in transports.js, `on.garbage(message)`, `on.end(line, ending)`, `on.woken()`. */
export class Line {
  isOpen = false;
  openedAt = 0;
  messages = 0;
  #isOver = false;
  #connection;
  #heardAt;
  #unwatch = () => {};
  #unlimit = () => {};

  /**
   * @param {string} transport
   * @param {number} level its place among those that are wanted
   * @param {import("./requests.js").Call} call
   */
  constructor(transport, level, call, on) {
    Object.assign(this, { transport, level, call, on });
    this.#heardAt = call.environment.now();
  }

  open() {
    const { open, patience } = TRANSPORTS[this.transport];
    this.#limit(patience);
    try {
      this.#connection = open(this.call, {
        alive: () => this.#alive(),
        hear: (object) => this.#hear(object),
        garbage: this.on.garbage,
        end: (ending) => this.#end(ending),
      });
    } catch (error) {
      // A WebSocket that a policy forbids throws.
      this.#end(broken(error.message));
    }
  }

  send(object) {
    this.#connection.send(object);
  }

  /** Closes it; nothing is told of it any more. */
  close() {
    this.#isOver = true;
    this.#unwatch();
    this.#unlimit();
    this.#connection?.close();
  }

  /** @returns {boolean} whether it was heard of so lately that it needs no asking */
  get isLively() {
    return this.#silence < QUIET_MS;
  }

  /** Asks the server whether it is there. Only a WebSocket can. */
  check() {
    this.#limit(SHORT_PATIENCE_MS);
    this.send({ op: "ping", id: 0 });
  }

  get #silence() {
    return this.call.environment.now() - this.#heardAt;
  }

  #limit(ms) {
    this.#unlimit();
    this.#unlimit = after(this.call.environment, ms, () => this.#end(broken("no answer")));
  }

  #alive() {
    this.#heardAt = this.call.environment.now();
    // What is not open yet may be alive, and yet be held back by somebody in between.
    if (this.isOpen) this.#unlimit();
  }

  #hear(object) {
    if (this.#isOver) return;
    if (!this.isOpen) {
      if (object.op !== "position") return;
      this.isOpen = true;
      this.openedAt = this.call.environment.now();
      this.#unlimit();
      this.#watch();
    }
    if (object.op === "message") this.messages++;
    this.on.hear(this, object);
  }

  #watch() {
    const { silence } = TRANSPORTS[this.transport];
    const left = silence - this.#silence;
    this.#unwatch = after(this.call.environment, left > 0 ? Math.min(LOOK_MS, left) : LOOK_MS, (isLate) => {
      this.#watch();
      if (isLate) this.on.woken();
      else if (this.#silence >= silence) this.#end(broken(`nothing came for ${silence / 1000} s`));
      // A server that tells no positions answers nevertheless.
      else if (!this.isLively && this.transport === "websocket") this.send({ op: "ping", id: 0 });
    });
  }

  #end(ending) {
    if (this.#isOver) return;
    this.close();
    this.on.end(this, ending);
  }
}
