// The connection to the server: by the best transport that works, kept through failures, with one position for all.
//
// At most two lines are open at once: the one that counts, and one beside it that takes its place when it works (a better
// transport that is tried; the same one with other channels). What both bring is told once, by its id.

import { backOff, ending } from "./advice.js";
import { Channels } from "./channels.js";
import { after, surroundings } from "./environment.js";
import { Line } from "./line.js";

/** A connection that lived so long, or brought a message, was worth its opening. */
const SOUND_MS = 10_000;
const FIRST_CLIMB_MS = 60_000;
const LAST_CLIMB_MS = 600_000;
/** After so many failures in a row nothing is known any more of what works. */
const MOST_FAILURES = 3;

const ASKED = ending(0, "");
const LOST = { code: 0, message: "the connection was lost before the answer; it may have been published" };
/** What the server answers while it is short of something; the same may be asked again. */
const PASSING = [0, 100, 111];

export class Link {
  #options;
  #tell;
  #channels;
  #state = "disconnected";
  /** The line that counts, and the one beside it, which may go down to the level `#until`. */
  #line = null;
  #beside = null;
  #until = 0;
  /** Where the next try begins. */
  #level = 0;
  #failures = 0;
  #brief = 0;
  #climbs = 0;
  #earliest = 0;
  #uncome = null;
  #unclimb = null;
  #renewing = null;
  #asked = new Map();
  #lastId = 0;

  /**
   * @param {{url: string, client?: string, since?: string, transports?: string[], credentials?: RequestCredentials,
   *   environment?: Partial<import("./environment.js").Environment>}} options
   * @param {(event: object) => void} tell
   */
  constructor({ url, client = "", since = "", transports, credentials, environment }, tell) {
    this.#options = { url, client, transports, credentials, environment: surroundings(environment) };
    this.#channels = new Channels(this.#options, since, tell);
    this.#tell = tell;
  }

  /** Where the client stands: all up to here was told. "" before the first one. */
  get position() {
    return this.#channels.position;
  }

  connect() {
    if (this.#state !== "disconnected") return;
    this.#failures = this.#brief = 0;
    this.#say("connecting", ASKED);
    this.#dial(this.#level);
  }

  disconnect() {
    if (this.#state !== "disconnected") this.#stop(ASKED);
  }

  /**
   * Hears a channel.
   * @param {string} channel
   * @param {string} [since] what was missed since then is told first
   */
  subscribe(channel, since) {
    if (this.#channels.wanted.has(channel)) return;
    this.#channels.add(channel, since);
    this.#changed();
  }

  unsubscribe(channel) {
    if (!this.#channels.wanted.has(channel)) return;
    this.#channels.remove(channel, ASKED);
    this.#changed();
  }

  /** @returns {Promise<string>} the message's id; rejects with an Error that has a `code` */
  publish(channel, data, key) {
    return new Promise((resolve, reject) => {
      const refuse = ({ code, message }) => reject(Object.assign(Error(message), { code }));
      if (this.#state !== "connected") refuse({ code: 0, message: "not connected; it was not published" });
      else if (!this.#line.send) refuse({ code: 108, message: "only a WebSocket can publish" });
      else {
        this.#ask({ op: "publish", channel, data, key }, (answer) => {
          if (answer.op === "ok") resolve(answer.message);
          else refuse(answer);
        });
      }
    });
  }

  /**
   * Something happened that may have cost the connection, or brought a better one.
   * @param {"visible" | "online" | "network" | "resume"} reason
   */
  wake(reason) {
    const isOtherNetwork = reason === "online" || reason === "network";
    if (isOtherNetwork) this.#climbs = this.#level = 0;
    const { level, isOpen } = this.#line ?? {};
    if (this.#uncome) {
      if (this.#options.environment.now() >= this.#earliest) this.#dial(this.#level);
    } else if (isOpen && !this.#beside) {
      if (isOtherNetwork && level) this.#try(0, level);
      else if (!this.#line.check() || (isOtherNetwork && !this.#line.send)) this.#try(level, level);
    }
  }

  // -- opening

  #open(level) {
    const { wanted, cursor } = this.#channels;
    const transport = this.#options.transports[level];
    // A WebSocket asks for what is new when it is open: the position does not speak for that.
    const channels = [...wanted.values()].filter(({ since }) => since === "" || transport !== "websocket");
    const call = { ...this.#options, channels: new Set(channels.map(({ channel }) => channel)), since: cursor };
    return new Line(transport, level, call, {
      hear: (line, object) => this.#hear(line, object),
      end: (line, how) => this.#ended(line, how),
      wake: () => this.wake("resume"),
    });
  }

  #dial(level) {
    this.#uncome?.();
    this.#uncome = null;
    this.#line = this.#open(level);
    this.#line.open();
  }

  // Opens a line beside the one that counts: the first one that works from one level down to another.
  #try(from, until) {
    this.#unclimb?.();
    this.#until = until;
    this.#channels.isOverlapping = true;
    this.#beside = this.#open(from);
    this.#beside.open();
  }

  #climbLater() {
    this.#unclimb?.();
    const { level } = this.#line;
    const ms = Math.min(LAST_CLIMB_MS, FIRST_CLIMB_MS * 2 ** this.#climbs);
    if (level) this.#unclimb = after(this.#options.environment, ms, () => this.#climbs++ || this.#try(0, level - 1));
  }

  #opened(line) {
    if (line === this.#beside) {
      this.#beside = null;
      this.#line.close();
      this.#lose();
    }
    this.#channels.isOverlapping = false;
    this.#line = line;
    this.#level = line.level;
    this.#say("connected", ASKED);
    for (const channel of line.call.channels) {
      const record = this.#channels.wanted.get(channel);
      if (record) this.#channels.settle(record, line.call.since);
    }
    this.#channels.hasOpened = true;
    this.#climbLater();
    this.#changed();
  }

  // -- channels

  // The channels are, or may be, others than those of the line: by WebSocket that is said, else another line is opened.
  #changed() {
    const line = this.#line;
    if (!line?.isOpen || this.#beside) return this.#renew();
    const { channels } = line.call;
    const { wanted } = this.#channels;
    for (const channel of channels) {
      if (wanted.has(channel)) continue;
      channels.delete(channel);
      if (line.send) line.send({ op: "unsubscribe", channels: [channel] });
      else this.#renew();
    }
    for (const record of wanted.values()) {
      const { channel } = record;
      if (channels.has(channel)) continue;
      if (!line.send) return this.#renew();
      channels.add(channel);
      this.#ask({ op: "subscribe", channels: [channel] }, ({ op, code, message }) => {
        if (op === "ok") this.#channels.settle(record);
        else if (!PASSING.includes(code)) wanted.get(channel) === record && this.#channels.remove(channel, { code, reason: message });
        else backOff(this.#options.environment, 1, 0, () => channels.delete(channel) && line === this.#line && this.#changed());
      });
    }
  }

  // All changes of one turn make one request.
  #renew() {
    this.#renewing ??= Promise.resolve().then(() => {
      this.#renewing = null;
      if (this.#uncome) return this.wake();
      if (!this.#line?.isOpen) return;
      const from = this.#beside?.level ?? this.#line.level;
      this.#drop();
      this.#try(from, this.#line.level);
    });
  }

  // -- what lines tell

  #hear(line, object) {
    const { op, id, code, message } = object;
    const channels = this.#channels;
    const isAnswer = this.#asked.has(id);
    if (op === "position" && (line !== this.#line || this.#state !== "connected")) this.#opened(line);
    if (op === "message") channels.message(object);
    else if (op === "gap") channels.gap(object);
    else if (isAnswer) {
      const take = this.#asked.get(id);
      this.#asked.delete(id);
      take(object);
    } else if (op === "error") this.#tell({ type: "error", code, message });
    else channels.stand(object.position);
  }

  #ask(object, take) {
    this.#asked.set(++this.#lastId, take);
    this.#line.send({ ...object, id: this.#lastId });
  }

  // -- how lines end

  #ended(line, how) {
    const current = this.#line;
    if (line === this.#beside) {
      this.#drop();
      if (line.level < this.#until) this.#try(line.level + 1, this.#until);
      else if (line.level < current.level) this.#climbLater();
      else if (!how.isFinal || !this.#channels.refuse(how)) {
        current.close();
        this.#ended(current, how);
      }
    } else if (how.isFinal) this.#stop(how);
    else if (line.isOpen) this.#broke(line, how);
    else if (how.wait || line.level + 1 === this.#options.transports.length) this.#backOff(how);
    else this.#dial(line.level + 1);
  }

  #broke(line, how) {
    this.#lose();
    this.#unclimb?.();
    this.#channels.lost();
    if (line.messages || this.#options.environment.now() - line.openedAt >= SOUND_MS) {
      this.#failures = this.#brief = 0;
      if (!line.level) this.#climbs = 0;
    } else if (++this.#brief > 1 && line.level + 1 < this.#options.transports.length) {
      this.#brief = 0;
      this.#level = line.level + 1;
    }
    this.#line = this.#beside;
    this.#beside = null;
    if (this.#line) this.#say("connecting", how);
    else this.#backOff(how);
  }

  #backOff(how) {
    const { environment } = this.#options;
    this.#line = null;
    if (this.#failures > MOST_FAILURES) this.#level = 0;
    const { delay, cancel } = backOff(environment, this.#failures++, how.wait, () => this.#dial(this.#level));
    this.#uncome = cancel;
    this.#earliest = environment.now() + how.wait;
    this.#say("connecting", how, delay);
  }

  #stop(how) {
    this.#uncome?.();
    this.#unclimb?.();
    this.#drop();
    this.#line?.close();
    this.#line = this.#uncome = null;
    this.#channels.lost();
    this.#lose();
    this.#say("disconnected", how);
  }

  #drop() {
    this.#beside?.close();
    this.#beside = null;
    this.#channels.isOverlapping = false;
  }

  // The answers will not come.
  #lose() {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const take of asked) take(LOST);
  }

  #say(state, { code, reason }, delay = 0) {
    this.#state = state;
    this.#tell({ type: "state", state, transport: this.#line?.transport ?? "", code, reason, delay });
  }
}
