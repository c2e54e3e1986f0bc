// Checks what a link tells of channels on which numbers are said, 1, 2, 3 …: each once, in order, or a gap.

export class Numbers {
  /** what was wrong, as sentences */
  faults = [];
  #expected = new Map();

  /** @param {Record<string, number>} first number of each channel that is heard */
  constructor(first) {
    this.#expected = new Map(Object.entries(first));
  }

  hear({ type, channel, data, channels }) {
    if (type === "gap") for (const each of channels) this.#expected.set(each, null);
    if (type !== "message") return;
    const expected = this.#expected.get(channel);
    if (expected === undefined) this.faults.push(`${channel} is not heard, and ${data} came`);
    else if (expected !== null && data !== expected) this.faults.push(`${channel}: ${data} and not ${expected}`);
    this.#expected.set(channel, data + 1);
  }

  /** All up to these numbers should have come. */
  end(last) {
    for (const [channel, number] of Object.entries(last)) {
      const expected = this.#expected.get(channel);
      if (expected !== null && expected !== number + 1) this.faults.push(`${channel}: ends before ${expected} and not with ${number}`);
    }
    return this.faults;
  }
}
