// Which messages were told, so that none is told twice where two connections overlap.

const MOST = 2000;

/** The ids of the messages told last. */
export class ToldIds {
  /** While two connections are open at once nothing is forgotten: all that the first one tells comes by the second. */
  isKeeping = false;
  #ids = new Set();

  /** @returns {boolean} whether it is new */
  add(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    // The second connection brings first what is known, so the first new one ends the overlap.
    if (this.#ids.size > MOST && !this.isKeeping) {
      for (const old of this.#ids) {
        if (this.#ids.size <= MOST) break;
        this.#ids.delete(old);
      }
    }
    return true;
  }
}
