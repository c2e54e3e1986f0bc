// Requests by WebSocket, and their answers: publications, and what the link itself asks.

/** Is not known: it may have been published or not. */
const LOST = [0, "the connection was lost before the answer: it may have been published"];
const ELSEWHERE = [108, "only a WebSocket can publish"];
const UNSENT = [0, "not connected; it was not published"];

function refusal([code, message]) {
  return Object.assign(new Error(message), { code });
}

export class Publications {
  #last = 0;
  /** id → what takes the answer */
  #asked = new Map();
  /** publications that wait for a connection */
  #waiting = [];

  /** @param {(answer: object) => void} take not called when the connection is lost first */
  ask(line, object, take, lost = () => {}) {
    const id = ++this.#last;
    this.#asked.set(id, { take, lost });
    line.send({ ...object, id });
  }

  /** @returns {Promise<string>} */
  publish(state, line, object) {
    return new Promise((resolve, reject) => {
      const send = (open) => {
        if (open?.transport !== "websocket") return reject(refusal(open ? ELSEWHERE : UNSENT));
        const take = (answer) => (answer.op === "ok" ? resolve(answer.message) : reject(refusal([answer.code, answer.message])));
        this.ask(open, object, take, () => reject(refusal(LOST)));
      };
      if (line && !line.isOpen) this.#waiting.push(send);
      else send(state === "connected" ? line : null);
    });
  }

  /** @returns {boolean} whether it is the answer to something asked */
  answered({ id, ...answer }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    asked?.take(answer);
    return !!asked;
  }

  /** A connection is open: what waited for it is sent. */
  opened(line) {
    for (const send of this.#waiting.splice(0)) send(line);
  }

  /** No connection could be made. */
  waiting() {
    this.opened(null);
  }

  /** The connection is gone, and with it the answers. */
  lost() {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { lost } of asked) lost();
  }
}
