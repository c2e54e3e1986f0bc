import assert from "node:assert/strict";
import test from "node:test";
import { eventStream } from "../src/event_stream.js";

function read(pieces) {
  const events = [];
  const waits = [];
  const take = eventStream(
    (type, data, id) => events.push([type, data, id]),
    (ms) => waits.push(ms),
  );
  for (const piece of pieces) take(piece);
  return { events, waits };
}

const bytes = (text) => new TextEncoder().encode(text);
const whole = (text) => read([bytes(text)]);

const STREAM =
  "\ufeffretry: 3127\nevent: position\nid: 3kx9-7\ndata: {}\n\n" +
  'id: 3kx9-8\r\ndata: {"channel":"news","data":"Grüße 🎉\u2028"}\r\n\r\n' +
  ": ping\r\rdata:two\rdata: lines\rdata\r\r" +
  "data: no space lost:  x\nunknown: field\nid\n\n";
const EVENTS = [
  ["position", "{}", "3kx9-7"],
  ["message", '{"channel":"news","data":"Grüße 🎉\u2028"}', "3kx9-8"],
  ["message", "two\nlines\n", "3kx9-8"],
  ["message", "no space lost:  x", ""],
];

test("A stream is read as the HTML standard has it: all line ends, fields, comments, a byte order mark.", () => {
  assert.deepEqual(whole(STREAM), { events: EVENTS, waits: [3127] });
});

test("It may come byte by byte: letters, line ends and the byte order mark are put together again.", () => {
  assert.deepEqual(read([...bytes(STREAM)].map((byte) => Uint8Array.of(byte))).events, EVENTS);
});

test("It may come in two pieces that are cut anywhere, and with empty ones between.", () => {
  const all = bytes(STREAM);
  for (let cut = 0; cut <= all.length; cut++) {
    assert.deepEqual(read([all.slice(0, cut), new Uint8Array(), all.slice(cut)]).events, EVENTS, `cut at ${cut}`);
  }
});

test("It may come in three pieces that are cut anywhere around its line ends.", () => {
  const all = bytes("data: a\r\n\r\ndata: b\r\rdata: c\n\n");
  for (let first = 0; first <= all.length; first++) {
    for (let second = first; second <= all.length; second++) {
      const pieces = [all.slice(0, first), all.slice(first, second), all.slice(second)];
      assert.deepEqual(
        read(pieces).events.map(([, data]) => data),
        ["a", "b", "c"],
        `cut at ${first} and ${second}`,
      );
    }
  }
});

for (const [what, text, events] of [
  ["an event without data", "event: x\nid: 1\n\ndata: a\n\n", [["message", "a", "1"]]],
  ["an empty line of data", "data:\n\n", [["message", "", ""]]],
  ["an id with a NUL", "id: 1\0\ndata: a\n\n", [["message", "a", ""]]],
  ["an id that is taken back", "id: 1\ndata: a\n\nid:\ndata: b\n\n", [["message", "a", "1"], ["message", "b", ""]]],
  ["an event that is cut off at the end", "data: a\n\ndata: b\n", [["message", "a", ""]]],
  ["a colon first", ":data: a\n\n", []],
  ["one space, and no more, taken away", "data:  a\n\n", [["message", " a", ""]]],
  ["a mark in the middle, which is a letter", "data: a\n\n\ufeffdata: b\n\n", [["message", "a", ""]]],
]) {
  test(`The standard's rules: ${what}.`, () => assert.deepEqual(whole(text).events, events));
}

test("A time to wait is a number in digits, and nothing else.", () => {
  assert.deepEqual(whole("retry: 5\nretry: 1.5\nretry: -3\nretry:\nretry: 0x10\nretry: 70\n").waits, [5, 70]);
});

test("A message of 1 MB comes through whole.", () => {
  const data = JSON.stringify("ä".repeat(500_000));
  const all = bytes(`data: ${data}\n\n`);
  const pieces = [];
  for (let at = 0; at < all.length; at += 16_383) pieces.push(all.slice(at, at + 16_383));
  assert.deepEqual(read(pieces).events, [["message", data, ""]]);
});
