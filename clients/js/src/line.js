// One connection by one transport, from its opening to its end. It knows whether the server is still there; what comes
// it hands on, and what to do when it ends is the link's.

import { ending } from "./advice.js";
import { after } from "./environment.js";
import { openEvents, openPolls, openWebSocket } from "./transports.js";

/**
 * Of each transport: how it is opened; how many ms it may take to show that it works (nothing comes after polls, and a
 * slow network needs its time), and how many it may be silent (pings come every 25 s, a poll waits for 50 s).
 */
const TRANSPORTS = {
  websocket: [openWebSocket, 5000, 60_000],
  sse: [openEvents, 5000, 60_000],
  poll: [openPolls, 20_000, 65_000],
};
/** So long is waited for the answer to "are you there?". */
const CHECK_MS = 5000;
const LOOK_MS = 10_000;
/** More than the server lets pass between two signs of life: what was heard since then is alive. */
const QUIET_MS = 30_000;

export class Line {
  isOpen = false;
  messages = 0;
  /** ms to wait at least when it breaks, as the stream says. */
  retry = 0;
  /** Sends an object; only a WebSocket has it. */
  send = null;
  #isOver = false;
  #isComplained = false;
  #close = null;
  #heardAt = 0;
  #unlimit = null;
  #unwatch = null;

  /**
   * @param {string} transport
   * @param {number} level its place among those that are wanted
   * @param {import("./requests.js").Call} call
   * @param {{hear: (line: Line, object: object) => void, end: (line: Line, ending: object) => void, wake: () => void}} link
   */
  constructor(transport, level, call, link) {
    Object.assign(this, { transport, level, call, link });
  }

  open() {
    const [open, patience] = TRANSPORTS[this.transport];
    this.#limit(patience);
    try {
      this.#close = open(this, this.call);
    } catch (error) {
      // There is no WebSocket, or a policy forbids it.
      this.end(ending(0, error.message));
    }
  }

  /** Closes it; nothing is told of it any more. */
  close() {
    this.#isOver = true;
    this.#unlimit?.();
    this.#unwatch?.();
    this.#close?.();
  }

  /** Asks whether the server is there. @returns {boolean} false: it cannot be asked, and was not heard of for long */
  check() {
    if (!this.send) return this.#silence < QUIET_MS;
    this.#limit(CHECK_MS);
    this.send({ op: "ping", id: 0 });
    return true;
  }

  // -- for transports

  /** What has come, as JSON. What nobody understands is told once, and the connection goes on. */
  read(json, toObject) {
    try {
      this.hear(toObject(JSON.parse(json)));
    } catch (error) {
      if (!this.#isComplained) this.hear({ op: "error", code: 0, message: error.message });
      this.#isComplained = true;
    }
  }

  hear(object) {
    if (this.#isOver) return;
    this.#heardAt = this.call.environment.now();
    // What is not open may be alive, and yet be held back by somebody in between.
    if (this.isOpen || object.op === "position") this.#unlimit?.();
    if (!this.isOpen && object.op === "position") {
      this.isOpen = true;
      this.openedAt = this.#heardAt;
      this.#watch();
    }
    if (object.op === "message") this.messages++;
    if (this.isOpen || object.op === "error") this.link.hear(this, object);
  }

  end(how) {
    if (this.#isOver) return;
    this.close();
    this.link.end(this, how);
  }

  // -- time

  get #silence() {
    return this.call.environment.now() - this.#heardAt;
  }

  #limit(ms) {
    this.#unlimit?.();
    this.#unlimit = after(this.call.environment, ms, () => this.end(ending(0, "no answer")));
  }

  #watch() {
    this.#unwatch = after(this.call.environment, LOOK_MS, (isLate) => {
      this.#watch();
      if (isLate) this.link.wake();
      else if (this.#silence >= TRANSPORTS[this.transport][2]) this.end(ending(0, "nothing came for too long"));
      // A server that tells no positions answers nevertheless.
      else if (this.#silence >= QUIET_MS) this.send?.({ op: "ping", id: 0 });
    });
  }
}
