// What the client hears, and how far it is: its channels, its position, and which messages were told.

import { isFinal } from "./advice.js";
import { fetchMissed } from "./missed.js";
import { ToldIds } from "./told.js";

/**
 * @typedef {{channel: string, since: string, isTold?: boolean, isLive?: boolean, held?: object[] | null,
 *   abort?: AbortController}} Channel
 * `since`: what was missed since then is not told yet; `isTold`: "subscribed" is; `isLive`: its messages are told as they
 * come; `held`: what came while it catches up.
 */

export class Channels {
  /** @type {Map<string, Channel>} */
  wanted = new Map();
  ids = new ToldIds();
  /** Where to come back to. */
  cursor;
  /** Up to where all was told: behind the cursor while a channel catches up. */
  position;
  #options;
  #tell;

  constructor(options, tell) {
    const { since } = options;
    this.#options = options;
    this.#tell = tell;
    this.cursor = since;
    this.position = since === "oldest" ? "" : since;
  }

  // -- channels

  add(channel, since) {
    this.wanted.set(channel, { channel, since });
  }

  /** @param {{code: number, message: string}} [how] it was refused, else it was asked for */
  remove(channel, { code, message } = { code: 0, message: "" }) {
    this.wanted.get(channel)?.abort?.abort();
    if (this.wanted.delete(channel)) this.#tell({ type: "unsubscribed", channel, code, reason: message });
  }

  /** The server refuses what is new. @returns {boolean} whether anything is */
  refuse(how) {
    const fresh = [...this.wanted.values()].filter(({ isTold }) => !isTold);
    for (const { channel } of fresh) this.remove(channel, how);
    return fresh.length > 0;
  }

  /**
   * The connection brings a channel.
   * @param {string} channel
   * @param {string} [from] and what was said on it since then
   */
  settle(channel, from) {
    const record = this.wanted.get(channel);
    if (!record || record.isLive || record.held) return;
    if (!record.isTold) this.#tell({ type: "subscribed", channel, position: this.cursor });
    record.isTold = true;
    if (record.since && record.since !== from) this.#catchUp(record);
    else this.#live(record);
  }

  /** The connection brings nothing any more. */
  lost() {
    for (const record of this.wanted.values()) {
      record.abort?.abort();
      record.held = record.isLive = null;
    }
  }

  #live(record) {
    record.isLive = true;
    record.since = "";
  }

  // What was missed is told before what comes.
  async #catchUp(record) {
    const { channel, since } = record;
    const { signal } = (record.abort = new AbortController());
    const held = (record.held = []);
    // A mailbox is asked for by its client, and `*` comes with any channel.
    const client = channel[0] === "@" ? this.#options.client : "";
    // Who is told may have had enough.
    const tell = (each) => each.channel === channel && record === this.wanted.get(channel) && this.#message(each);
    const call = { ...this.#options, client, channels: client ? [] : [channel === "*" ? "-" : channel], since };
    try {
      await fetchMissed(call, signal, ({ messages, gaps, position }) => {
        record.since = position;
        if (gaps?.includes(channel)) this.#tell({ type: "gap", channels: [channel], position });
        messages.forEach(tell);
        // What is among those that are held is followed by all that are.
        return messages.some(({ id }) => held.some((each) => each.id === id));
      });
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error.code)) return this.remove(channel, error);
      this.#tell({ type: "gap", channels: [channel], position: record.since });
    }
    if (signal.aborted) return;
    record.held = null;
    this.#live(record);
    held.forEach(tell);
    this.stand(this.cursor);
  }

  // -- what comes

  /** A message, by the connection that counts. */
  message(message) {
    const { channel, id } = message;
    const record = this.wanted.get(channel);
    this.#stand(id);
    if (record?.held) record.held.push(message);
    else if (this.#hears(channel)) this.#message(message);
  }

  gap({ channel, channels = [channel], position }) {
    channels = channels.filter(this.#hears, this);
    this.stand(position);
    if (channels.length) this.#tell({ type: "gap", channels, position });
  }

  /** The client stands there. */
  stand(position) {
    if (this.#stand(position)) this.#tell({ type: "position", position });
  }

  #stand(position) {
    if (!position || typeof position !== "string") return false;
    this.cursor = position;
    for (const { since } of this.wanted.values()) if (since) return false;
    const isNew = position !== this.position;
    this.position = position;
    return isNew;
  }

  #hears(channel) {
    return channel === "*" || channel === `@${this.#options.client}` || this.wanted.get(channel)?.isLive;
  }

  #message({ channel, id, data }) {
    if (this.ids.add(id)) this.#tell({ type: "message", channel, id, data });
  }
}
