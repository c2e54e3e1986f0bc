// One connection by one transport, from its opening to its end. It knows whether the server is still there; what comes
// it hands on, and what to do when it ends is the link's.

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
const LOOK_MS = 5000;
/** Who is to be heard of within this time was silent for longer than the server ever is. */
const QUIET_MS = 30_000;

export class Line {
  isOpen = false;
  /** When it was opened, and whether it has brought a message. */
  openedAt;
  isHeard;
  /** Sends an object; only a WebSocket has it. */
  send;
  /** ms to wait at least when it breaks, as the stream says. */
  retry = 0;
  #isOver;
  /** Whether it was looked after because of a late timer, and has not been heard of since. */
  #isAsked;
  #isComplained;
  #close;
  #deadline;
  #unwatch;

  /**
   * @param {import("./link.js").Link} link hears of it: `opened`, `hear`, `ended`, `wake`
   * @param {import("./requests.js").Call} call
   * @param {string} transport
   * @param {number} level its place among those that are wanted
   */
  constructor(link, call, transport, level) {
    Object.assign(this, { link, call, transport, level });
  }

  open() {
    const [open, patience] = TRANSPORTS[this.transport];
    this.#expect(patience);
    this.#watch();
    const { client, channels } = this.call;
    try {
      if (open !== openWebSocket && !client && !channels.size) throw Error("nothing to hear");
      this.#close = open(this, this.call);
    } catch (error) {
      // Or there is no WebSocket, or a policy forbids it.
      this.end(error);
    }
  }

  /** Closes it; nothing is told of it any more. */
  close() {
    this.#isOver = true;
    this.#unwatch();
    this.#close?.();
  }

  /** Asks whether the server is there. @returns {boolean} false: it cannot be asked, and was not heard of for long */
  check() {
    const isLively = !this.send && this.#left > QUIET_MS;
    if (!isLively) this.#expect(CHECK_MS);
    this.send?.({ op: "ping", id: 0 });
    return isLively || !!this.send;
  }

  // -- for transports

  /** Something has come, as JSON. What nobody understands is told once, and the connection goes on. */
  read(json, more) {
    try {
      const object = { ...JSON.parse(json), ...more };
      if (object.op === "message" && !(object.id && "data" in object)) throw Error("a message without id or data");
      this.hear(object);
    } catch ({ message }) {
      if (!this.#isComplained) this.hear({ op: "error", code: 0, message });
      this.#isComplained = true;
    }
  }

  hear(object) {
    const { op } = object;
    if (this.#isOver) return;
    this.#isAsked = false;
    if (!this.isOpen && op === "position") {
      this.isOpen = true;
      this.openedAt = this.call.environment.now();
      this.link.opened(this, object.position);
    }
    this.isHeard ||= op === "message";
    // What is not open may be alive, and yet be held back by somebody in between.
    if (this.isOpen) this.#expect(TRANSPORTS[this.transport][2]);
    if (this.isOpen || op === "error") this.link.hear(object);
  }

  /** @param {import("./advice.js").Ending} how */
  end({ code = 0, message, wait }) {
    if (this.#isOver) return;
    this.close();
    this.link.ended(this, { code, message, wait: wait || this.retry });
  }

  // -- time

  get #left() {
    return this.#deadline - this.call.environment.now();
  }

  #expect(ms) {
    this.#deadline = this.call.environment.now() + ms;
  }

  #watch() {
    this.#unwatch = after(this.call.environment, Math.min(LOOK_MS, Math.max(this.#left, 0)), (isLate) => {
      const left = this.#left;
      // In a hidden tab all are late: who was asked already, and has not answered, is dead.
      if (isLate && this.isOpen && !this.#isAsked) {
        this.#isAsked = true;
        this.link.wake("resume");
      } else if (left <= 0) return this.end({ message: "no answer" });
      // A server that tells no positions answers nevertheless.
      else if (left <= QUIET_MS && this.isOpen) this.send?.({ op: "ping", id: 0 });
      this.#watch();
    });
  }
}
