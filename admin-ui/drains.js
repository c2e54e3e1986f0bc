// How far the drains of workers are. The frames tell how many connections are left; how many there were is remembered
// from the moment before, or from when this page first saw the drain.

import { live } from "./live.js";
import { Paces } from "./pace.js";

/** Fed with frames. */
class Drains {
  /** "worker/pid" -> the connections that it had when it was last up, or when the drain was first seen */
  #whole = new Map();
  #paces = new Paces();

  append(frame) {
    const before = this.#whole;
    this.#whole = new Map();
    for (const each of frame.workers) {
      const key = keyOf(each);
      if (each.drain) this.#whole.set(key, Math.max(before.get(key) ?? 0, each.drain.left));
      else if (each.state === "up" && each.open !== null) this.#whole.set(key, each.open);
    }
    const under = frame.workers.filter((each) => each.drain);
    this.#paces.add(frame.time, under.map((each) => [keyOf(each), this.#whole.get(keyOf(each)) - each.drain.left]));
  }

  /** {whole, left, perS} of a worker that is drained; `perS` null: not measured yet. */
  of(worker) {
    return { whole: this.#whole.get(keyOf(worker)) ?? worker.drain.left, left: worker.drain.left, perS: this.#paces.perS(keyOf(worker)) };
  }
}

const keyOf = ({ worker, pid }) => `${worker}/${pid}`;

/** Those of this server, also while another page is shown. */
export const drains = new Drains();

live.subscribe(({ frame, phase }) => {
  if (frame && phase === "live") drains.append(frame);
});
