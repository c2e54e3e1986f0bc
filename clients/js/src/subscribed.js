// What the client hears and how far it is: its channels, its position, and which messages were told.

import { fetchMissed } from "./missed.js";
import { ToldIds } from "./told.js";

/** Names that the server takes as channels of browsers; `@…` is a mailbox, and `*` is heard anyway. */
const NAME = /^(?!@|\*$|\.\.?$)[^\p{Cc}\p{Z}]{1,255}$/u;

/**
 * @typedef {{channel: string, since: string, isFirst: boolean, isLive: boolean, isTold: boolean, held: object[] | null,
 *   abort: AbortController | null}} Channel
 * `isFirst`: it was there before the first connection, whose position counts for it; `isLive`: its messages are told as
 * they come; `isTold`: so was "subscribed"; `held`: what came while it catches up.
 */

export class Subscribed {
  ids = new ToldIds();
  /** Where to come back to. */
  cursor;
  /** Where all up to was told: behind the cursor while a channel catches up. */
  position;
  #options;
  #tell;
  #hasOpened = false;
  /** @type {Map<string, Channel>} */
  #channels = new Map();

  constructor(options, since, tell) {
    this.#options = options;
    this.cursor = since;
    this.position = since === "oldest" ? "" : since;
    this.#tell = tell;
  }

  // -- channels

  /** @returns {boolean} whether it is new */
  add(channel, since) {
    if (this.#channels.has(channel)) return false;
    const record = { channel, since, isFirst: !this.#hasOpened, isLive: false, isTold: false, held: null, abort: null };
    if (!NAME.test(channel)) {
      this.#tell({ type: "unsubscribed", channel, code: 107, reason: "no name of a channel" });
      return false;
    }
    this.#channels.set(channel, record);
    return true;
  }

  /** @returns {boolean} whether it was there */
  remove(channel) {
    this.#channels.get(channel)?.abort?.abort();
    return this.#channels.delete(channel);
  }

  /** @returns {string[]} all */
  wanted() {
    return [...this.#channels.keys()];
  }

  /** @returns {string[]} those that a position speaks for */
  settled() {
    return [...this.#channels.values()].filter((each) => each.isTold || each.isFirst).map((each) => each.channel);
  }

  differsFrom(channels) {
    return channels.length !== this.#channels.size || !channels.every((each) => this.#channels.has(each));
  }

  /** @returns {Channel[]} */
  unasked(channels) {
    return [...this.#channels.values()].filter((each) => !channels.includes(each.channel));
  }

  refuse(record, code, reason) {
    if (this.#channels.get(record.channel) !== record) return;
    this.remove(record.channel);
    this.#tell({ type: "unsubscribed", channel: record.channel, code, reason });
  }

  /** The server does not want the channels that are new. @returns {boolean} whether there are any */
  refuseNew({ code, reason }) {
    const fresh = [...this.#channels.values()].filter((each) => !each.isTold);
    for (const each of fresh) this.refuse(each, code, reason);
    return fresh.length > 0;
  }

  // -- connections

  /** A connection with these channels, from this position on, is open. */
  opened({ channels, since }) {
    for (const channel of channels) {
      const record = this.#channels.get(channel);
      if (record) this.settle(record, record.isFirst || record.isTold ? "" : since, since);
    }
    this.#hasOpened = true;
  }

  /**
   * The connection brings a channel from now on.
   * @param {Channel} record
   * @param {string} until it brings also what was said since then, which is older than the subscription
   * @param {string} [covered] what it brings all of
   */
  settle(record, until, covered = "") {
    if (this.#channels.get(record.channel) !== record || record.isLive || record.abort) return;
    const { since } = record;
    if (since && since !== covered) this.#catchUp(record, since, false);
    else if (until) this.#catchUp(record, until, true);
    else this.#live(record);
  }

  lost() {
    for (const record of this.#channels.values()) {
      record.abort?.abort();
      record.abort = record.held = null;
      record.isLive = false;
    }
  }

  #live(record) {
    record.isLive = true;
    this.#subscribedTo(record);
    record.isFirst = false;
    record.since = "";
  }

  #subscribedTo(record) {
    if (record.isTold) return;
    record.isTold = true;
    this.#tell({ type: "subscribed", channel: record.channel, position: this.cursor });
  }

  // What was missed comes before what is live. What is older than the subscription is fetched to be known, not told.
  async #catchUp(record, since, isSilent) {
    const { channel } = record;
    const { signal } = (record.abort = new AbortController());
    record.held = [];
    if (!isSilent) this.#subscribedTo(record);
    try {
      await fetchMissed({ ...this.#options, channels: [channel], since }, signal, ({ messages, gaps, position }) => {
        if (gaps?.includes(channel) && !isSilent) this.#tell({ type: "gap", channels: [channel], position });
        const held = new Set(record.held.map((each) => each.id));
        for (const each of messages) {
          if (each.channel !== channel) continue;
          if (isSilent) this.ids.add(each.id);
          else this.#message(each);
        }
        if (!isSilent) record.since = position;
        return messages.some((each) => held.has(each.id));
      });
    } catch (ending) {
      if (!signal.aborted) this.refuse(record, ending.code, ending.reason);
    }
    if (signal.aborted) return;
    const { held } = record;
    record.abort = record.held = null;
    if (isSilent) this.#live(record);
    record.isLive = true;
    record.isFirst = false;
    record.since = "";
    for (const each of held) this.#message(each);
    this.stand(this.cursor);
  }

  // -- what comes

  /** A message, by the connection that counts. */
  message(message) {
    const { channel, id } = message;
    const record = this.#channels.get(channel);
    this.cursor = id;
    if (!this.#isCatchingUp) this.position = id;
    if (record?.held) record.held.push(message);
    else if (record?.isLive || this.#isOwn(channel)) this.#message(message);
  }

  #message({ channel, id, data }) {
    if (this.ids.add(id)) this.#tell({ type: "message", channel, id, data, position: this.position });
  }

  gap({ channels, position }) {
    const heard = channels.filter((each) => this.#channels.get(each)?.isLive || this.#isOwn(each));
    this.stand(position);
    if (heard.length) this.#tell({ type: "gap", channels: heard, position });
  }

  /** The client stands there. */
  stand(position) {
    if (!position) return;
    this.cursor = position;
    if (this.#isCatchingUp || position === this.position) return;
    this.position = position;
    this.#tell({ type: "position", position });
  }

  #isOwn(channel) {
    return channel === "*" || channel === `@${this.#options.client}`;
  }

  get #isCatchingUp() {
    for (const { held } of this.#channels.values()) if (held) return true;
    return false;
  }
}
