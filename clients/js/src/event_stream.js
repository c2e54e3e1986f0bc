// Server-sent events: the bytes of a stream to events, as the HTML standard has it.

/** Reads a stream in pieces of any size. */
export class EventStreamReader {
  /** ms, as the stream said last; 0 before. */
  retry = 0;
  #decoder = new TextDecoder(); // which takes the byte order mark away
  #line = "";
  #isAfterCr = false;
  #type = "";
  #data = [];
  #id = "";
  #tell;

  /** @param {(event: {type: string, data: string, id: string}) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {Uint8Array} bytes */
  read(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return;
    // A line feed that comes later than its carriage return ends no other line.
    if (this.#isAfterCr && text[0] === "\n") text = text.slice(1);
    this.#isAfterCr = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop();
    for (const line of lines) this.#take(line);
  }

  #take(line) {
    if (!line) return this.#dispatch();
    const [, name, value] = /^([^:]*):? ?([^]*)/.exec(line);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }

  #dispatch() {
    const event = { type: this.#type || "message", data: this.#data.join("\n"), id: this.#id };
    const isEvent = this.#data.length;
    this.#type = "";
    this.#data = [];
    if (isEvent) this.#tell(event);
  }
}
