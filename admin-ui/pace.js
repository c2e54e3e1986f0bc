// How fast things go that are under way, measured: what was told over the last seconds. Pure.

const OVER_S = 5;

/** Of several things at once, each by a key. */
export class Paces {
  /** key -> [[unix seconds, how much is done], …], oldest first */
  #points = new Map();

  /** Told at each frame: [[key, how much is done], …] of all that are under way; of others nothing is kept. */
  add(time, told) {
    const before = this.#points;
    this.#points = new Map();
    for (const [key, done] of told) {
      const points = (before.get(key) ?? []).filter(([at, was]) => at < time && time - at <= OVER_S && was <= done);
      this.#points.set(key, [...points, [time, done]]);
    }
  }

  /** A second, over the last five at most; null while nothing can be said. */
  perS(key) {
    const points = this.#points.get(key) ?? [];
    if (points.length < 2) return null;
    const [[from, before], [to, now]] = [points[0], points.at(-1)];
    return (now - before) / (to - from);
  }
}

/** Seconds until `left` are done; by the measured pace, or while there is none by the one that was asked for. */
export function secondsLeft(left, measured, asked) {
  const perS = measured ?? asked;
  return perS > 0 ? left / perS : null;
}
