// What a live tail shows: the newest messages that came, and how many did not come or are not shown. Bounded, and pure:
// channel_tail.js draws it.

import { seconds } from "./format.js";

/**
 * @typedef {{id: string, time: number | null, text: string, isCut: boolean, bytes: number, before: number | null}} Row
 * `text`: the data on one line, of a large message (`isCut`) only its beginning; `before`: so many messages that came
 * just before this one are not known here; null: the connection was broken there, nobody knows
 */

export class TailRows {
  #most;
  /** Oldest first, also those that the filter hides. */
  #rows = [];
  #shown = [];
  #waiting = [];
  #filter = "";
  #dropped = 0;
  #last = "";
  /** As `before` of the next row. */
  #before = 0;

  /** Rows that came into `shown` ever: who draws knows by it how far they have moved. */
  added = 0;
  /** Messages that came and were never here, as there were too many. */
  skipped = 0;
  /** Messages that came while it was paused; null: it is not paused. */
  fresh = null;

  constructor(most = 500) {
    this.#most = most;
  }

  /** The rows that the filter lets through, oldest first. The same array is given until something changes. */
  get shown() {
    return this.#shown;
  }

  /** Messages that the filter keeps out, now or when they came. */
  get filtered() {
    return this.#dropped + this.#rows.length - this.#shown.length;
  }

  get paused() {
    return this.fresh !== null;
  }

  /**
   * What the server told of messages; the text of each is `textOf(message)`.
   * @param {{messages: any[], skipped: number}} told
   */
  add(told, textOf) {
    if (this.#before !== null) this.#before += told.skipped;
    this.skipped += told.skipped;
    const rows = [];
    for (const message of told.messages) {
      const isCut = message.data === undefined;
      const text = isCut ? message.head : textOf(message.data);
      const row = { id: message.id, time: seconds(message.time), text, isCut, bytes: message.bytes, before: this.#before };
      this.#last = message.id;
      // Of those that do not pass only the number is kept, so that many of them push none out that does.
      if (this.#passes(row)) {
        rows.push(row);
        this.#before = 0;
      } else this.#dropped += 1;
    }
    if (this.paused) {
      this.fresh += told.messages.length + told.skipped;
      this.#wait(rows);
    } else if (rows.length) this.#take(rows);
  }

  /** The connection is not the one of before: what came between is not known. */
  broke() {
    if (this.#last) this.#before = null;
  }

  pause() {
    this.fresh ??= 0;
  }

  resume() {
    const waiting = this.#waiting;
    this.fresh = null;
    this.#waiting = [];
    this.#take(waiting);
  }

  /** Show only messages whose data has this text in it, in capitals or not. */
  filter(text) {
    this.#filter = text.toLowerCase();
    this.#shown = this.#rows.filter((row) => this.#passes(row));
  }

  /** Forget all that came; go on as before. */
  clear() {
    this.#rows = [];
    this.#shown = [];
    this.#waiting = [];
    this.#dropped = 0;
    this.#before = 0;
    this.skipped = 0;
    if (this.paused) this.fresh = 0;
  }

  #passes(row) {
    return this.#filter === "" || row.text.toLowerCase().includes(this.#filter);
  }

  #take(rows) {
    this.#rows = this.#bounded([...this.#rows, ...rows]);
    this.#shown = this.#rows.filter((row) => this.#passes(row));
    this.added += rows.filter((row) => this.#passes(row)).length;
  }

  #wait(rows) {
    const all = [...this.#waiting, ...rows];
    this.#waiting = this.#bounded(all);
    const lost = all.length - this.#waiting.length;
    if (!lost) return;
    this.skipped += lost;
    const first = this.#waiting[0];
    first.before = first.before === null ? null : first.before + lost;
  }

  #bounded(rows) {
    return rows.length > this.#most ? rows.slice(rows.length - this.#most) : rows;
  }
}
