// The connection to the server: by the best transport that works, kept through failures, with one position for all.
//
// At most two lines are open at once: the one that counts, and one beside it that takes its place when it works (a better
// transport that is tried; the same one with other channels). What both bring is told once, by its id.

import { broken, pause } from "./advice.js";
import { after, surroundings } from "./environment.js";
import { Line, canOpen } from "./line.js";
import { Subscribed } from "./subscribed.js";
import { Publications } from "./publications.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** A connection that lived so long, or brought a message, was worth its opening. */
const SOUND_MS = 10 * SECOND;
const FIRST_CLIMB_MS = MINUTE;
const LAST_CLIMB_MS = 10 * MINUTE;

const NOTHING = broken("");

export class Link {
  #options;
  #environment;
  #tell;
  #state = "disconnected";
  #subscribed;
  #publications = new Publications();
  #line = null;
  #beside = null;
  /** Up to which level is tried beside, and whether that is because channels changed. */
  #until = 0;
  /** Where the next try begins; the best level that has worked. */
  #level = 0;
  #best = Infinity;
  #failures = 0;
  #brief = 0;
  #climbs = 0;
  #isRenewing = false;
  #earliest = 0;
  #why = NOTHING;
  #unpause = null;
  #unclimb = () => {};

  /**
   * @param {{url: string, client?: string, since?: string, transports?: string[], credentials?: RequestCredentials,
   *   environment?: Partial<import("./environment.js").Environment>}} options
   * @param {(event: object) => void} tell
   */
  constructor({ url, client = "", since = "", transports = ["websocket", "sse", "poll"], credentials = "same-origin", environment }, tell) {
    this.#environment = surroundings(environment);
    this.#options = { url, client, credentials, transports, environment: this.#environment };
    this.#tell = tell;
    this.#subscribed = new Subscribed(this.#options, since, tell);
  }

  /** Where the client stands: all up to here was told. "" before the first one. */
  get position() {
    return this.#subscribed.position;
  }

  connect() {
    if (this.#state !== "disconnected") return;
    this.#failures = this.#brief = 0;
    this.#level = this.#best === Infinity ? 0 : this.#best;
    this.#say("connecting", NOTHING, 0);
    this.#dial(this.#level);
  }

  disconnect() {
    if (this.#state !== "disconnected") this.#stop(NOTHING);
  }

  /**
   * Hears a channel.
   * @param {string} channel
   * @param {string} [since] what was missed since then is told first
   */
  subscribe(channel, since = "") {
    if (this.#subscribed.add(channel, since)) this.#renewSoon();
  }

  unsubscribe(channel) {
    if (this.#subscribed.remove(channel)) {
      this.#tell({ type: "unsubscribed", channel, code: 0, reason: "" });
      if (this.#line?.isOpen && this.#line.transport === "websocket" && this.#line.call.channels.includes(channel)) {
        this.#line.call.channels = this.#line.call.channels.filter((each) => each !== channel);
        this.#publications.ask(this.#line, { op: "unsubscribe", channels: [channel] }, () => {});
      }
      this.#renewSoon();
    }
  }

  /**
   * Publishes; while a connection is being made it waits for that.
   * @returns {Promise<string>} the message's id
   */
  publish(channel, data, key) {
    return this.#publications.publish(this.#state, this.#line, { op: "publish", channel, data, key });
  }

  /**
   * Something happened that may have cost the connection, or brought a better one.
   * @param {"visible" | "online" | "network" | "resume"} reason
   */
  wake(reason) {
    const isOtherNetwork = reason === "online" || reason === "network";
    if (isOtherNetwork) this.#climbs = this.#level = 0;
    if (this.#unpause) {
      if (this.#environment.now() >= this.#earliest) this.#dial(this.#level);
    } else if (this.#line?.isOpen && !this.#beside) {
      const { level, transport } = this.#line;
      if (isOtherNetwork && level > 0) this.#try(0, level);
      else if (transport === "websocket") this.#line.check();
      else if (isOtherNetwork || !this.#line.isLively) this.#try(level, level);
    }
  }

  // -- opening

  #call() {
    return { ...this.#options, channels: this.#subscribed.wanted(), since: this.#subscribed.cursor };
  }

  #newLine(level) {
    const transport = this.#options.transports[level];
    const call = this.#call();
    if (transport === "websocket") call.channels = this.#subscribed.settled();
    return new Line(transport, level, call, {
      hear: (line, object) => this.#hear(line, object),
      end: (line, ending) => this.#ended(line, ending),
      woken: () => this.wake("resume"),
      garbage: (message) => this.#tell({ type: "error", code: 0, message }),
    });
  }

  /** @returns {number} the first level from `level` on that can be tried; the number of levels if there is none */
  #possible(level) {
    const { transports } = this.#options;
    const call = this.#call();
    while (level < transports.length && !canOpen(transports[level], call)) level++;
    return level;
  }

  #dial(from) {
    this.#unpause?.();
    this.#unpause = null;
    const level = this.#possible(from);
    if (level < this.#options.transports.length) {
      this.#line = this.#newLine(level);
      this.#line.open();
    } else {
      this.#level = this.#best === Infinity ? 0 : this.#best;
      this.#backOff(this.#why);
    }
  }

  // Opens a line beside the one that counts: the first one that works from `from` to `until`.
  #try(from, until) {
    this.#unclimb();
    this.#until = until;
    const level = this.#possible(from);
    if (level > until) return this.#climbLater();
    this.#subscribed.ids.isKeeping = true;
    this.#beside = this.#newLine(level);
    this.#beside.open();
  }

  #climbLater() {
    this.#unclimb();
    const { level } = this.#line;
    if (this.#possible(0) >= level) return;
    const ms = Math.min(LAST_CLIMB_MS, FIRST_CLIMB_MS * 2 ** this.#climbs++);
    this.#unclimb = after(this.#environment, ms, () => this.#try(0, level - 1));
  }

  #renewSoon() {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    queueMicrotask(() => {
      this.#isRenewing = false;
      this.#renew();
    });
  }

  // The channels are others now.
  #renew() {
    const line = this.#line;
    if (this.#unpause && this.#environment.now() >= this.#earliest && this.#possible(0) < this.#possible(this.#level)) this.#dial(0);
    if (!line?.isOpen) return;
    const { level } = line;
    if (this.#beside) {
      const from = this.#beside.level;
      this.#drop();
      this.#try(from, line.transport === "websocket" ? this.#until : level);
    } else if (line.transport !== "websocket" && this.#subscribed.differsFrom(line.call.channels)) this.#try(level, level);
    if (line.transport === "websocket") this.#ask(line);
  }

  // By WebSocket each channel that is new is asked for.
  #ask(line) {
    for (const record of this.#subscribed.unasked(line.call.channels)) {
      const { channel } = record;
      line.call.channels.push(channel);
      this.#publications.ask(line, { op: "subscribe", channels: [channel] }, (answer) => {
        if (answer.op === "ok") this.#subscribed.settle(record, "");
        else this.#subscribed.refuse(record, answer.code, answer.message);
      });
    }
  }

  // -- what lines tell

  #hear(line, object) {
    if (line !== this.#line || this.#state !== "connected") this.#opened(line);
    const subscribed = this.#subscribed;
    if (object.op === "message") subscribed.message(object);
    else if (object.op === "position") subscribed.stand(object.position);
    else if (object.op === "gap") subscribed.gap(object);
    else if (object.op === "ok" && object.id === 0) subscribed.stand(object.position);
    else if (!this.#publications.answered(object) && object.op === "error") {
      this.#tell({ type: "error", code: object.code, message: object.message });
    }
  }

  #opened(line) {
    if (line === this.#beside) {
      this.#line.close();
      this.#beside = null;
      this.#publications.lost();
    }
    this.#line = line;
    this.#level = line.level;
    this.#best = Math.min(this.#best, line.level);
    this.#say("connected", NOTHING);
    this.#subscribed.opened(line.call);
    this.#subscribed.ids.isKeeping = false;
    this.#publications.opened(line);
    this.#climbLater();
    if (line.transport === "websocket") this.#ask(line);
    else if (this.#subscribed.differsFrom(line.call.channels)) this.#renewSoon();
  }

  // -- how lines end

  #ended(line, ending) {
    if (line === this.#beside) this.#failedBeside(line, ending);
    else if (ending.isFinal) this.#stop(ending);
    else if (line.isOpen) this.#lost(line, ending);
    else if (ending.wait) this.#backOff(ending);
    else {
      this.#why = ending;
      this.#dial(line.level + 1);
    }
  }

  #failedBeside(line, ending) {
    this.#drop();
    const current = this.#line;
    if (line.level < this.#until) this.#try(line.level + 1, this.#until);
    else if (line.level < current.level) this.#climbLater();
    else if (ending.isFinal && this.#subscribed.refuseNew(ending)) this.#renewSoon();
    else {
      current.close();
      this.#ended(current, ending);
    }
  }

  #drop() {
    this.#beside.close();
    this.#beside = null;
    this.#subscribed.ids.isKeeping = false;
  }

  #lost(line, ending) {
    this.#unclimb();
    this.#publications.lost();
    this.#subscribed.lost();
    if (line.messages || this.#environment.now() - line.openedAt >= SOUND_MS) {
      this.#failures = this.#brief = 0;
      if (!line.level) this.#climbs = 0;
    } else if (++this.#brief >= 2 && line.level + 1 < this.#options.transports.length) {
      this.#brief = 0;
      this.#level = line.level + 1;
    }
    if (this.#beside) {
      this.#line = this.#beside;
      this.#beside = null;
      this.#say("connecting", ending, 0);
    } else this.#backOff(ending);
  }

  #backOff(ending) {
    this.#line = null;
    const { now, random } = this.#environment;
    const delay = pause(this.#failures++, ending.wait, random);
    this.#earliest = now() + ending.wait;
    this.#unpause = after(this.#environment, delay, () => this.#dial(this.#level));
    this.#publications.waiting();
    this.#say("connecting", ending, delay);
  }

  #stop(ending) {
    this.#unpause?.();
    this.#unpause = null;
    this.#unclimb();
    this.#line?.close();
    if (this.#beside) this.#drop();
    this.#line = null;
    this.#publications.lost();
    this.#publications.waiting();
    this.#subscribed.lost();
    this.#say("disconnected", ending);
  }

  #say(state, { code, reason }, delay = 0) {
    this.#state = state;
    this.#tell({ type: "state", state, transport: this.#line?.transport ?? "", code, reason, delay });
  }
}
