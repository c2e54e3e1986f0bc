// What the client hears, and how far it is: its channels, its position, and which messages were told.

import { backOff } from "./advice.js";
import { poll } from "./requests.js";

/** So many ids of messages are remembered. */
const MOST_IDS = 2000;
const PAGE = 1000;

/**
 * @typedef {{channel: string, since?: string, isLive: boolean, isTold: boolean, held: object[] | null,
 *   abort: AbortController | null}} Channel
 * `since`: what is before it was told or is not wanted: "" the cursor, undefined the moment in which the server takes it
 * on; `isLive`: its messages are told as they come; `isTold`: so was "subscribed"; `held`: what came while it catches up.
 */

export class Channels {
  /** @type {Map<string, Channel>} */
  wanted = new Map();
  /** Whether there was a connection; channels from before it begin with the link's own position. */
  hasOpened = false;
  /** While two connections are open at once no id is forgotten: all that one tells comes by the other as well. */
  isOverlapping = false;
  /** Where to come back to. */
  cursor;
  /** Up to where all was told: behind the cursor while a channel catches up. */
  position;
  #ids = new Set();
  #options;
  #tell;

  constructor(options, since, tell) {
    this.#options = options;
    this.cursor = since;
    this.position = since === "oldest" ? "" : since;
    this.#tell = tell;
  }

  // -- channels

  add(channel, since) {
    if (!since || since === this.cursor) since = this.hasOpened ? undefined : "";
    this.wanted.set(channel, { channel, since, isLive: false, isTold: false, held: null, abort: null });
  }

  remove(channel, { code, reason }) {
    this.#stop(this.wanted.get(channel));
    this.wanted.delete(channel);
    this.#tell({ type: "unsubscribed", channel, code, reason });
  }

  /** The server refuses what is new. @returns {boolean} whether anything is */
  refuse(how) {
    const fresh = [...this.wanted.values()].filter((each) => !each.isTold);
    for (const { channel } of fresh) this.remove(channel, how);
    return fresh.length > 0;
  }

  /**
   * The connection brings a channel.
   * @param {Channel} record
   * @param {string} [from] what was said since then, too
   */
  settle(record, from) {
    if (this.wanted.get(record.channel) !== record || record.isLive || record.held) return;
    const since = record.since ?? from;
    if (since) this.#catchUp(record, since, record.since === undefined);
    else this.#live(record);
  }

  /** The connection brings nothing any more. */
  lost() {
    this.wanted.forEach(this.#stop);
  }

  #stop(record) {
    record.abort?.abort();
    record.abort = record.held = null;
    record.isLive = false;
  }

  #live(record) {
    record.isLive = true;
    record.since = "";
    this.#subscribed(record);
  }

  #subscribed(record) {
    if (!record.isTold) this.#tell({ type: "subscribed", channel: record.channel, position: this.cursor });
    record.isTold = true;
  }

  // What was missed is told before what comes. What is older than a subscription is fetched to be known, and not told.
  async #catchUp(record, since, isSilent) {
    const { channel } = record;
    const { environment } = this.#options;
    const { signal } = (record.abort = new AbortController());
    const held = (record.held = []);
    if (!isSilent) this.#subscribed(record);
    for (let failures = 0, isMore = true; isMore; ) {
      try {
        const call = { ...this.#options, client: "", channels: [channel], since };
        const { messages, position, gaps } = await poll(call, signal, { timeout: 0, limit: PAGE });
        if (signal.aborted) return;
        if (gaps && !isSilent) this.#tell({ type: "gap", channels: [channel], position });
        for (const each of messages) {
          if (each.channel !== channel) continue;
          if (isSilent) this.#ids.add(each.id);
          else this.#message(each);
        }
        // What is among those that are held is followed by all that are.
        isMore = messages.length && position !== since && !messages.some(({ id }) => held.some((each) => each.id === id));
        since = position;
        if (!isSilent) record.since = since;
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (error.isFinal) return this.remove(channel, error);
        await new Promise((go) => backOff(environment, failures++, error.wait || 0, go));
      }
    }
    record.abort = record.held = null;
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

  gap({ channels, position }) {
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
    const ids = this.#ids;
    if (ids.has(id)) return;
    ids.add(id);
    // A second connection brings first what is known, so the first new one ends the overlap.
    if (!this.isOverlapping) for (const old of ids) if (ids.size > MOST_IDS) ids.delete(old);
    this.#tell({ type: "message", channel, id, data, position: this.position });
  }
}
