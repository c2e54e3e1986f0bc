// The console's pure modules about channels, in Node.js: node --test admin_ui_channels.test.mjs

import assert from "node:assert/strict";
import test from "node:test";

import { faultOf, parseExact } from "../../admin-ui/jsontext.js";
import { clientOf, mailboxOf, spelled } from "../../admin-ui/names.js";
import { TailRows } from "../../admin-ui/tail.js";
import { ttlFault } from "../../admin-ui/ttl.js";

const FAULTS = [
  ["", 1, 1, "A value is missing"],
  ['{"a":1', 1, 1, "The end is missing: } for the { here"],
  ['[1, [2, 3]', 1, 1, "The end is missing: ] for the [ here"],
  ['{"text": "hello",\n "n": 1,}', 2, 8, "There is a comma too many before the }"],
  ["[1,]", 1, 3, "There is a comma too many before the ]"],
  ['{"a":\n  "b"\n  "c":2}', 3, 3, "A comma is missing before this"],
  ['{"a" 1}', 1, 6, "A colon is missing before this"],
  ["{a:1}", 1, 2, "A name in double quotes must stand here"],
  ["{'a':1}", 1, 2, "A name in double quotes must stand here"],
  ["hello", 1, 1, "A text stands in double quotes"],
  ["'hello'", 1, 1, "Texts stand in double quotes, not in single ones"],
  ["“hello”", 1, 1, "Texts stand in straight double quotes"],
  ['["abc', 1, 2, "This text has no closing double quote"],
  ['"a\nb"', 1, 3, "A line break within a text is written \\n"],
  ['"a\\x"', 1, 3, "There is no \\x in JSON; a backslash itself is written \\\\"],
  ['"\\u12g4"', 1, 2, "Behind \\u stand four hexadecimal digits"],
  ["[01]", 1, 2, "A number does not begin with 0"],
  ["[1.]", 1, 4, "A digit is missing here"],
  ["[True]", 1, 2, "True is written true"],
  ["[None]", 1, 2, "There is no None in JSON; null perhaps"],
  ["[1}", 1, 3, "Here stands } where ] must close what is open"],
  ["1}", 1, 2, "There is a } too many"],
  ["[1, // one\n2]", 1, 5, "JSON has no comments"],
  ['"😀" x', 1, 5, "There is more behind the end of the value"],
];

test("a fault in JSON has its place and a reason", () => {
  for (const [text, line, column, words] of FAULTS) {
    const fault = faultOf(text);
    assert.deepEqual([fault?.line, fault?.column, fault?.words], [line, column, words], text);
  }
});

test("whatever is no JSON has a fault that is told, and what is JSON has none", () => {
  // All texts of up to three of these pieces.
  const pieces = ["{", "}", "[", "]", '"', ",", ":", "0", "1", ".", "e", "-", "true", " ", "\n", "\\", "/", '"a"', "é", "\u0007"];
  const texts = pieces.flatMap((a) => [a, ...pieces.flatMap((b) => [a + b, ...pieces.map((c) => a + b + c)])]);
  for (const text of texts) {
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    const fault = faultOf(text);
    assert.equal(fault === null, isJson, JSON.stringify(text));
    if (fault) assert.notEqual(fault.words, "This is not JSON", JSON.stringify(text));
  }
});

test("what is nested without an end is a fault like others", () => {
  assert.equal(faultOf("[".repeat(200_000)).words, "The end is missing: ] for the [ here");
});

test("numbers stay as they were written", () => {
  const text = '{"id":12345678901234567890,"size":1e400,"part":0.1234567890123456789,"n":1}';
  assert.equal(JSON.stringify(parseExact(text)), text);
});

test("a name in a title hides nothing and turns nothing around", () => {
  assert.equal(spelled("news"), "news");
  assert.equal(spelled("\u202eevil"), "U+202Eevil");
  assert.equal(spelled("שלום"), "\u2068שלום\u2069");
  assert.equal(spelled("x".repeat(255)).length, 48);
  assert.deepEqual([clientOf("@a@b"), clientOf("news"), mailboxOf("sue")], ["a@b", null, "@sue"]);
});

const message = (n, data = n) => ({ id: `e-${n}`, data, time: "2026-11-28T09:00:00.000Z", bytes: 1 });
const said = (...numbers) => ({ messages: numbers.map((n) => message(n)), skipped: 0 });
const ids = (rows) => rows.map((row) => Number(row.id.slice(2)));

function tailOf(most, ...told) {
  const tail = new TailRows(most);
  for (const each of told) tail.add(each, JSON.stringify);
  return tail;
}

test("a tail keeps the newest, and says what was skipped before which", () => {
  const tail = tailOf(3, said(1, 2), { messages: [message(9), message(10)], skipped: 6 });
  assert.deepEqual(ids(tail.shown), [2, 9, 10]);
  assert.deepEqual(tail.shown.map((row) => row.before), [0, 6, 0]);
  assert.deepEqual([tail.skipped, tail.filtered, tail.added], [6, 0, 4]);
});

test("a tail that is paused stands, counts what comes, and shows its newest afterwards", () => {
  const tail = tailOf(3, said(1, 2));
  tail.pause();
  const before = tail.shown;
  tail.add({ messages: [message(8), message(9)], skipped: 5 }, JSON.stringify);
  tail.add(said(10, 11), JSON.stringify);
  assert.equal(tail.shown, before);
  assert.equal(tail.fresh, 9);
  tail.resume();
  assert.deepEqual([ids(tail.shown), tail.paused], [[9, 10, 11], false]);
  assert.deepEqual([tail.skipped, tail.shown[0].before], [6, 1]);
});

test("a filter hides what is there, and keeps out what comes without pushing out what passes", () => {
  const tail = tailOf(3, { messages: [message(1, "Alpha"), message(2, "beta")], skipped: 0 });
  tail.filter("ALPHA");
  assert.deepEqual([ids(tail.shown), tail.filtered], [[1], 1]);
  for (let n = 3; n < 9; n++) tail.add({ messages: [message(n, "beta")], skipped: 0 }, JSON.stringify);
  tail.add({ messages: [message(9, "alphabet")], skipped: 0 }, JSON.stringify);
  assert.deepEqual([ids(tail.shown), tail.filtered], [[1, 9], 7]);
  tail.filter("");
  assert.deepEqual([ids(tail.shown), tail.filtered], [[1, 2, 9], 6]);
  tail.clear();
  assert.deepEqual([tail.shown, tail.filtered, tail.skipped], [[], 0, 0]);
});

test("a connection that broke leaves a mark, and one that never told anything leaves none", () => {
  const tail = new TailRows();
  tail.broke();
  tail.add(said(1), JSON.stringify);
  tail.broke();
  tail.add(said(5), JSON.stringify);
  assert.deepEqual(tail.shown.map((row) => row.before), [0, null]);
});

test("what is not known is told at the next message that is shown, also when the filter hides others before it", () => {
  const tail = new TailRows();
  tail.add(said(1), JSON.stringify);
  tail.filter("beta");
  tail.broke();
  tail.add({ messages: [message(2, "alpha")], skipped: 3 }, JSON.stringify);
  tail.add({ messages: [message(3, "beta")], skipped: 0 }, JSON.stringify);
  tail.add({ messages: [message(4, "alpha")], skipped: 2 }, JSON.stringify);
  tail.add({ messages: [message(5, "beta"), message(6, "beta")], skipped: 1 }, JSON.stringify);
  assert.deepEqual(tail.shown.map((row) => row.before), [null, 3, 0]);
});

test("a large message is its beginning", () => {
  const tail = tailOf(3, { messages: [{ id: "e-1", head: '"xx', time: "2026-11-28T09:00:00.000Z", bytes: 20_000 }], skipped: 0 });
  const [row] = tail.shown;
  assert.deepEqual([row.text, row.isCut, row.bytes], ['"xx', true, 20_000]);
});

test("how long a message is kept is a number of seconds, or nothing", () => {
  for (const text of ["", " ", "0", "2.5", " 60 ", "2592000"]) assert.equal(ttlFault(text), "", text);
  for (const text of ["-1", "2592001", "1e3", "x", "1.", "٣"]) assert.notEqual(ttlFault(text), "", text);
});
