// The connection to the server: by the best transport that works, kept through failures, with one position for all.
//
// At most two lines are open at once: the one that counts, and one beside it that takes its place when it works (a better
// transport that is tried; the same one with other channels). What both bring is told once, by its id.

import { isFinal, pause } from "./advice.js";
import { Channels } from "./channels.js";
import { after, surroundings } from "./environment.js";
import { Line } from "./line.js";
import { Publications } from "./publications.js";

/** A connection that lived so long, or brought a message, was worth its opening. */
const SOUND_MS = 10_000;
const FIRST_CLIMB_MS = 60_000;
const LAST_CLIMB_MS = 600_000;
/** After so many failures in a row nothing is known any more of what works. */
const MOST_FAILURES = 3;
/** Codes of answers of a server that is short of something; the same may be asked again. */
const PASSING = [100, 111];
/** How what was asked for ends. */
const ASKED = { code: 0, message: "" };

export class Link {
  #options;
  #tell;
  #channels;
  #publications = new Publications();
  /** The line that counts, and the one beside it, after which others are tried down to the level `#until`. */
  #line = null;
  #beside = null;
  #until;
  /** Where the next try begins. */
  #level = 0;
  #failures = 0;
  #brief = 0;
  #climbs = 0;
  /** When the next try is due, 0: not yet planned. */
  #climbAt = 0;
  /** Whether the next WebSocket offers no subprotocol. */
  #isPlain = false;
  #earliest;
  #uncome;
  #unclimb;
  #renewing;

  /**
   * @param {{url: string, client?: string, since?: string, transports: string[], credentials?: RequestCredentials,
   *   environment?: Partial<import("./environment.js").Environment>}} options
   * @param {(event: object) => void} tell
   */
  constructor(options, tell) {
    this.#options = { client: "", since: "", ...options, environment: surroundings(options.environment) };
    this.#channels = new Channels(this.#options, tell);
    this.#tell = tell;
  }

  /** Where the client stands: all up to here was told. "" before the first one. */
  get position() {
    return this.#channels.position;
  }

  connect() {
    if (this.#line || this.#uncome) return;
    this.#failures = this.#brief = 0;
    this.#say("connecting");
    this.#dial(this.#level);
  }

  disconnect() {
    if (this.#line || this.#uncome) this.#stop(ASKED);
  }

  /**
   * Hears a channel.
   * @param {string} channel
   * @param {string} [since] what was missed since then is told first
   */
  subscribe(channel, since = "") {
    if (this.#channels.wanted.has(channel)) return;
    this.#channels.add(channel, since);
    this.#changed();
  }

  unsubscribe(channel) {
    const line = this.#line;
    this.#channels.remove(channel);
    if (!line?.call.channels.delete(channel)) return;
    if (line.isOpen && line.send) line.send({ op: "unsubscribe", channels: [channel] });
    else this.#renew();
  }

  /**
   * Publishes; while a connection is being made it waits for that.
   * @returns {Promise<string>} the message's id; rejects with an Error that has a `code`
   */
  publish(channel, data, key) {
    return this.#publications.publish(this.#line, { op: "publish", channel, data, key });
  }

  /**
   * Something happened that may have cost the connection, or brought a better one.
   * @param {"visible" | "online" | "network" | "resume"} reason
   */
  wake(reason) {
    const isElsewhere = reason === "online" || reason === "network";
    const line = this.#line;
    if (isElsewhere) this.#climbs = this.#level = 0;
    if (this.#uncome) {
      if (this.#options.environment.now() >= this.#earliest) this.#dial(this.#level);
    } else if (line?.isOpen && !this.#beside && ((isElsewhere && !line.send) || !line.check())) {
      this.#try(isElsewhere ? 0 : line.level, line.level);
    }
  }

  // -- for lines

  opened(line, position) {
    if (line === this.#beside) {
      // They change places.
      this.#beside = this.#line;
      this.#drop();
      this.#failures = 0;
      this.#publications.lost();
    }
    this.#line = line;
    this.#level = line.level;
    this.#channels.stand(position);
    this.#say("connected");
    // Who is told may have had enough.
    if (line !== this.#line) return;
    for (const channel of line.call.channels) this.#channels.settle(channel, line.call.since);
    this.#publications.settle(line);
    this.#climbLater();
    this.#changed();
  }

  hear(object) {
    const { op, code, message, position } = object;
    if (op === "message") this.#channels.message(object);
    else if (op === "gap") {
      this.#channels.gap(object);
      // What is opened beside was asked for from before it, and would tell of it again.
      if (this.#beside) this.#try(this.#beside.level, this.#until);
    } else if (this.#publications.answered(object)) return;
    else if (op === "error") this.#tell({ type: "error", code, message });
    else this.#channels.stand(position);
  }

  ended(line, how) {
    const current = this.#line;
    // Browsers open nothing that has chosen none of what they offer: an older server is asked without.
    if (line.transport === "websocket") this.#isPlain = !line.isOpen && !line.call.isPlain;
    if (line === this.#beside) {
      this.#drop();
      if (line.level < this.#until) this.#try(line.level + 1, this.#until);
      else if (line.level < current.level) this.#climbLater();
      else if (!isFinal(how.code) || !this.#channels.refuse(how)) current.end(how);
    } else if (isFinal(how.code)) this.#stop(how);
    else if (line.isOpen) this.#broke(line, how);
    else if (!how.wait && this.#options.transports[line.level + 1]) this.#dial(line.level + 1);
    else {
      if (this.#failures > MOST_FAILURES) this.#level = 0;
      this.#backOff(how);
    }
  }

  // -- opening

  #open(level) {
    const { wanted, cursor } = this.#channels;
    const transport = this.#options.transports[level];
    return new Line(this, { ...this.#options, channels: new Set(wanted.keys()), since: cursor, isPlain: this.#isPlain }, transport, level);
  }

  #dial(level) {
    this.#uncome?.();
    this.#uncome = null;
    this.#line = this.#open(level);
    this.#line.open();
  }

  // Opens a line beside the one that counts, in place of one that is there: the first one that works from one level down
  // to another.
  #try(from, until) {
    this.#drop();
    this.#unclimb?.();
    this.#until = until;
    this.#channels.ids.isKeeping = true;
    this.#beside = this.#open(from);
    this.#beside.open();
  }

  #climbLater() {
    const { level } = this.#line;
    const { environment } = this.#options;
    const now = environment.now();
    if (!level) return void (this.#climbAt = 0);
    // However often the lower one breaks meanwhile, it stays as it was planned.
    this.#climbAt ||= now + Math.min(LAST_CLIMB_MS, FIRST_CLIMB_MS * 2 ** this.#climbs++);
    this.#unclimb = after(environment, Math.max(0, this.#climbAt - now), () => {
      this.#climbAt = 0;
      this.#try(0, level - 1);
    });
  }

  // -- channels

  // What the line does not bring yet is asked for by WebSocket; else another line is opened.
  #changed() {
    const line = this.#line;
    if (!line?.isOpen) return this.#renew();
    const { wanted } = this.#channels;
    for (const [channel, record] of wanted) {
      if (line.call.channels.has(channel)) continue;
      if (!line.send || this.#beside) return this.#renew();
      line.call.channels.add(channel);
      this.#publications.ask(line, { op: "subscribe", channels: [channel] }, (answer) => {
        if (record !== wanted.get(channel)) return;
        if (answer.op === "ok") this.#channels.settle(channel);
        else if (PASSING.includes(answer.code)) line.end(answer);
        else this.#channels.remove(channel, answer);
      });
    }
  }

  // All changes of one turn make one request.
  #renew() {
    this.#renewing ??= Promise.resolve().then(() => {
      const line = this.#line;
      this.#renewing = null;
      if (!line?.isOpen) return this.wake();
      this.#try((this.#beside ?? line).level, line.level);
    });
  }

  // -- how lines end

  #broke(line, how) {
    if (line.isHeard || this.#options.environment.now() - line.openedAt >= SOUND_MS) {
      this.#failures = this.#brief = 0;
      if (!line.level) this.#climbs = 0;
    } else if (++this.#brief > 1 && this.#options.transports[line.level + 1]) {
      this.#brief = 0;
      this.#level++;
    }
    this.#backOff(how);
  }

  #backOff(how) {
    const { environment } = this.#options;
    this.#leave();
    const delay = pause(environment, this.#failures++, how.wait);
    this.#uncome = after(environment, delay, () => this.#dial(this.#level));
    this.#earliest = environment.now() + how.wait;
    this.#say("connecting", how, delay);
  }

  #stop(how) {
    this.#leave();
    this.#say("disconnected", how);
  }

  #leave() {
    this.#uncome?.();
    this.#unclimb?.();
    this.#drop();
    this.#line?.close();
    this.#line = this.#uncome = null;
    this.#channels.lost();
    this.#publications.lost();
    this.#publications.settle();
  }

  #drop() {
    this.#beside?.close();
    this.#beside = null;
    this.#channels.ids.isKeeping = false;
  }

  #say(state, { code, message } = ASKED, delay = 0) {
    this.#tell({ type: "state", state, transport: this.#line?.transport ?? "", code, reason: message, delay });
  }
}
