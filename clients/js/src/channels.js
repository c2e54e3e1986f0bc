// What the client hears, and how far it is: its channels, its position, and which messages were told.

import { backOff, isFinal } from "./advice.js";
import { poll } from "./requests.js";

/** At least so many ids of messages are remembered. */
const MOST_IDS = 2000;
const PAGE = 1000;
/** Of a channel that begins when the server takes it on. */
const NOW = "now";

/**
 * @typedef {{channel: string, since: string | undefined, isLive: boolean, held: object[] | null}} Channel
 * `since`: what is told of it goes on from there: a position or `NOW`; "": from the cursor, and "subscribed" was told;
 *   undefined: from the cursor with which the link begins. `isLive`: its messages are told as they come;
 * `held`: what came while it catches up.
 */

export class Channels {
  /** @type {Map<string, Channel>} */
  wanted = new Map();
  /** While two connections are open at once no id is forgotten: all that one tells comes by the other as well. */
  isOverlapping = false;
  /** Where to come back to. */
  cursor;
  /** Up to where all was told: behind the cursor while a channel catches up. */
  position;
  #hasOpened = false;
  #ids = new Set();
  #olderIds = new Set();
  #options;
  #tell;

  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
    this.cursor = options.since;
    this.position = options.since === "oldest" ? "" : options.since;
  }

  // -- channels

  add(channel, since) {
    if (!since || since === this.cursor) since = this.#hasOpened ? NOW : undefined;
    this.wanted.set(channel, { channel, since, isLive: false, held: null });
  }

  /** @param {{code: number, message: string}} how */
  remove(channel, { code, message }) {
    const record = this.wanted.get(channel);
    if (record) record.held = null;
    if (this.wanted.delete(channel)) this.#tell({ type: "unsubscribed", channel, code, reason: message });
  }

  /** The server refuses what is new. @returns {boolean} whether anything is */
  refuse(how) {
    const fresh = [...this.wanted.values()].filter(({ since }) => since !== "");
    for (const { channel } of fresh) this.remove(channel, how);
    return fresh.length > 0;
  }

  /** A connection is open that brings what it asked for. */
  opened({ channels, since }) {
    for (const channel of channels) this.settle(this.wanted.get(channel), since);
    this.#hasOpened = true;
  }

  /**
   * The connection brings a channel.
   * @param {Channel} [record] of it, if it is wanted
   * @param {string} [from] what was said since then, too
   */
  settle(record, from) {
    if (!record || record.isLive || record.held) return;
    const isSilent = record.since === NOW;
    const since = isSilent ? from : record.since;
    if (since) this.#catchUp(record, since, isSilent);
    else this.#live(record);
  }

  /** The connection brings nothing any more. */
  lost() {
    for (const record of this.wanted.values()) record.held = record.isLive = null;
  }

  #live(record) {
    const { channel, since } = record;
    record.isLive = true;
    record.since = "";
    if (since !== "") this.#tell({ type: "subscribed", channel, position: this.cursor });
  }

  // What was missed is told before what comes. What is older than a subscription is fetched to be known, and not told.
  async #catchUp(record, since, isSilent) {
    const { channel } = record;
    const held = (record.held = []);
    for (let failures = 0, isMore = true; isMore; ) {
      try {
        const call = { ...this.#options, client: "", channels: new Set([channel]), since };
        const { messages, gaps, position } = await poll(call, { timeout: 0, limit: PAGE });
        if (record.held !== held) return;
        if (gaps && !isSilent) this.#tell({ type: "gap", channels: [channel], position });
        for (const each of messages) {
          if (isSilent) this.#ids.add(each.id);
          else if (each.channel === channel) this.#message(each);
        }
        // What is among those that are held is followed by all that are.
        isMore = messages.length && position !== since && !messages.some(({ id }) => held.some((each) => each.id === id));
        since = position;
        if (!isSilent) record.since = since;
        failures = 0;
      } catch (error) {
        if (record.held !== held) return;
        if (isFinal(error.code)) return this.remove(channel, error);
        await new Promise((go) => backOff(this.#options.environment, failures++, error.wait || 0, go));
      }
    }
    record.held = null;
    this.#live(record);
    held.forEach(this.#message, this);
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
    if (typeof position !== "string") return false;
    this.cursor = position;
    for (const { held } of this.wanted.values()) if (held) return false;
    const isNew = position !== this.position;
    this.position = position;
    return isNew;
  }

  #hears(channel) {
    return channel === "*" || channel === `@${this.#options.client}` || this.wanted.get(channel)?.isLive;
  }

  #message({ channel, id, data }) {
    if (this.#ids.has(id) || this.#olderIds.has(id)) return;
    // A second connection brings first what is known, so the first new one ends the overlap.
    if (this.#ids.size >= MOST_IDS && !this.isOverlapping) {
      this.#olderIds = this.#ids;
      this.#ids = new Set();
    }
    this.#ids.add(id);
    this.#tell({ type: "message", channel, id, data });
  }
}
