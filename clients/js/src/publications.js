// Requests by WebSocket, and their answers: publications, and what the link itself asks for.

export class Publications {
  #lastId = 0;
  /** id → what takes the answer */
  #asked = new Map();
  /** publications that wait for a connection */
  #waiting = [];

  /**
   * @param {{send: (object: object) => void}} line
   * @param {object} object
   * @param {(answer: object) => void} take
   * @param {() => void} [lost] called instead when the connection ends first
   */
  ask(line, object, take, lost) {
    const id = ++this.#lastId;
    this.#asked.set(id, { take, lost });
    line.send({ ...object, id });
  }

  /** @returns {Promise<string>} the message's id; rejects with an Error that has a `code` */
  publish(line, object) {
    return new Promise((resolve, reject) => {
      const refuse = (code, message) => reject(Object.assign(Error(message), { code }));
      const send = (open) => {
        if (!open) refuse(0, "not connected: not published");
        else if (open.transport !== "websocket") refuse(108, "only a WebSocket can publish");
        else {
          this.ask(
            open,
            object,
            ({ op, code, message }) => (op === "ok" ? resolve(message) : refuse(code, message)),
            () => refuse(0, "connection lost: may have been published"),
          );
        }
      };
      if (line && !line.isOpen) this.#waiting.push(send);
      else send(line);
    });
  }

  /** @returns {boolean} whether it is the answer to something asked */
  answered(answer) {
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    asked?.take(answer);
    return !!asked;
  }

  /** A connection is open: what waited for it is sent. Without `line` none could be made, and it is refused. */
  settle(line) {
    for (const send of this.#waiting.splice(0)) send(line);
  }

  /** The connection is gone, and with it the answers. */
  lost() {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { lost } of asked) lost?.();
  }
}
