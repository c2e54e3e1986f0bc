// JSON as people write it: where its first fault is, and what is wrong there, in words that are the same in every browser.
// And JSON whose numbers are kept to the digit. Pure.

/** A number that may have more digits than JavaScript keeps, or a larger exponent. */
const LONG_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/**
 * JSON.parse; numbers that it would round stay as they stand, for JSON.stringify, where the browser knows how.
 * @param {string} text
 */
export function parseExact(text) {
  if (!LONG_NUMBER.test(text) || typeof JSON.rawJSON !== "function") return JSON.parse(text);
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source ? JSON.rawJSON(context.source) : value,
  );
}

/**
 * @param {string} text
 * @returns {{at: number, line: number, column: number, words: string} | null} null: it is JSON. `at`: index in the text;
 *   line and column count from 1, in characters
 */
export function faultOf(text) {
  try {
    JSON.parse(text);
    return null;
  } catch {
    const { at, words } = new Reader(text).read();
    const before = text.slice(0, at).split("\n");
    return { at, line: before.length, column: [...before.at(-1)].length + 1, words };
  }
}

/** A fault as a sentence, with where it is. */
export function faultWords({ line, column, words }) {
  return `Line ${line}, column ${column}: ${words[0].toLowerCase()}${words.slice(1)}.`;
}

class Fault extends Error {
  constructor(at, words) {
    super(words);
    this.at = at;
    this.words = words;
  }
}

/** What stands for itself within a text. */
// eslint-disable-next-line no-control-regex
const PLAIN = /[^"\\\u0000-\u001f]+/y;
const CLOSING = { "{": "}", "[": "]" };
const LITERALS = ["true", "false", "null"];
const CONTROL_WORDS = { "\n": "A line break within a text is written \\n", "\r": "A line break within a text is written \\n", "\t": "A tab within a text is written \\t" };

/** Reads until the first fault. It keeps its own stack: what is nested a million deep is a fault too, not a crash. */
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    /** What is open: [bracket, index of it] */
    this.open = [];
    /** Whether a value is what comes next. */
    this.due = true;
  }

  read() {
    try {
      while (this.due || this.open.length) {
        if (this.due) this.value();
        else this.next();
      }
      this.space();
      if (this.at < this.text.length) this.rest();
    } catch (fault) {
      if (fault instanceof Fault) return fault;
      throw fault;
    }
    return { at: 0, words: "This is not JSON" };
  }

  fail(words, at = this.at) {
    throw new Fault(at, words);
  }

  space() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  rest() {
    const character = this.text[this.at];
    if (character === "/") this.fail("JSON has no comments");
    if (character === "}" || character === "]") this.fail(`There is a ${character} too many`);
    this.fail("There is more behind the end of the value");
  }

  ended() {
    if (!this.open.length) this.fail("A value is missing");
    const [bracket, at] = this.open.at(-1);
    this.fail(`The end is missing: ${CLOSING[bracket]} for the ${bracket} here`, at);
  }

  /** A value begins here; of a container only its first bracket is read. */
  value() {
    this.due = false;
    this.space();
    const character = this.text[this.at];
    if (character === undefined) this.ended();
    else if (character === "{" || character === "[") this.enter(character);
    else if (character === '"') this.string();
    else if (/[-+.\d]/.test(character)) this.number();
    else this.word(character);
  }

  enter(bracket) {
    this.open.push([bracket, this.at]);
    this.at += 1;
    this.space();
    if (this.text[this.at] === CLOSING[bracket]) this.leave();
    else if (bracket === "{") this.name();
    else this.due = true;
  }

  leave() {
    this.open.pop();
    this.at += 1;
  }

  /** Behind a value in the container that is open. */
  next() {
    this.space();
    const closing = CLOSING[this.open.at(-1)[0]];
    const character = this.text[this.at];
    if (character === undefined) this.ended();
    if (character === closing) {
      this.leave();
      return;
    }
    if (character !== ",") this.fail(/[}\]]/.test(character) ? `Here stands ${character} where ${closing} must close what is open` : "A comma is missing before this");
    const comma = this.at;
    this.at += 1;
    this.space();
    if (/[}\]]/.test(this.text[this.at] ?? "")) this.fail(`There is a comma too many before the ${this.text[this.at]}`, comma);
    if (closing === "}") this.name();
    else this.due = true;
  }

  /** A name and its colon. */
  name() {
    this.space();
    const character = this.text[this.at];
    if (character === undefined) this.ended();
    if (character === "/") this.fail("JSON has no comments");
    if (character !== '"') this.fail("A name in double quotes must stand here");
    this.string();
    this.space();
    if (this.text[this.at] !== ":") this.fail(this.at < this.text.length ? "A colon is missing before this" : "A colon and a value are missing");
    this.at += 1;
    this.due = true;
  }

  string() {
    const begin = this.at;
    this.at += 1;
    for (;;) {
      PLAIN.lastIndex = this.at;
      PLAIN.test(this.text);
      this.at = Math.max(this.at, PLAIN.lastIndex);
      const character = this.text[this.at];
      if (character === undefined) this.fail("This text has no closing double quote", begin);
      if (character === '"') break;
      if (character < " ") this.fail(CONTROL_WORDS[character] ?? "A control character within a text is written as \\u and four digits");
      this.escape();
    }
    this.at += 1;
  }

  escape() {
    const letter = this.text[this.at + 1];
    if (letter === undefined) this.fail("This text has no closing double quote");
    if (letter === "u") {
      if (!/^[\da-fA-F]{4}$/.test(this.text.slice(this.at + 2, this.at + 6))) this.fail("Behind \\u stand four hexadecimal digits");
      this.at += 6;
    } else if ('"\\/bfnrt'.includes(letter)) this.at += 2;
    else this.fail(`There is no \\${letter} in JSON; a backslash itself is written \\\\`);
  }

  number() {
    const begin = this.at;
    const digits = () => {
      const from = this.at;
      while (/\d/.test(this.text[this.at] ?? "")) this.at += 1;
      if (this.at === from) this.fail("A digit is missing here");
      return from;
    };
    if (this.text[begin] === "+") this.fail("A number does not begin with +");
    if (this.text[begin] === ".") this.fail("Before the point of a number stands a digit");
    if (this.text[begin] === "-") this.at += 1;
    const whole = digits();
    if (this.text[whole] === "0" && this.at > whole + 1) this.fail("A number does not begin with 0", whole);
    if (this.text[this.at] === ".") {
      this.at += 1;
      digits();
    }
    if (/[eE]/.test(this.text[this.at] ?? "")) {
      this.at += /[+-]/.test(this.text[this.at + 1] ?? "") ? 2 : 1;
      digits();
    }
    if (/[\w.]/.test(this.text[this.at] ?? "")) this.fail("This is no number; a text stands in double quotes", begin);
  }

  word(character) {
    const word = /^[\p{L}\p{N}_$]+/u.exec(this.text.slice(this.at, this.at + 40))?.[0] ?? "";
    if (LITERALS.includes(word)) {
      this.at += word.length;
      return;
    }
    if (character === "'") this.fail("Texts stand in double quotes, not in single ones");
    if (/[“”„«»‘’]/.test(character)) this.fail("Texts stand in straight double quotes");
    if (character === "/") this.fail("JSON has no comments");
    if (LITERALS.includes(word.toLowerCase())) this.fail(`${word} is written ${word.toLowerCase()}`);
    if (/^(None|undefined|NaN|Infinity|nil)$/.test(word)) this.fail(`There is no ${word} in JSON; null perhaps`);
    if (word) this.fail("A text stands in double quotes");
    this.fail("A value must stand here");
  }
}
