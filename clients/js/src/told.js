// Which messages were told, so that none is told twice where two connections overlap.

/** So many ids are remembered at least. */
const MOST_IDS = 2000;

export class ToldIds {
  /** While two connections are open at once nothing is forgotten: all that one tells comes by the other as well. */
  isKeeping = false;
  #new = new Set();
  #old = new Set();

  /** @returns {boolean} whether it is new */
  add(id) {
    if (this.#new.has(id) || this.#old.has(id)) return false;
    // The second connection brings first what is known, so the first new one ends the overlap.
    if (this.#new.size >= MOST_IDS && !this.isKeeping) {
      this.#old = this.#new;
      this.#new = new Set();
    }
    this.#new.add(id);
    return true;
  }
}
