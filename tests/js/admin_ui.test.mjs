// The console's pure modules, in Node.js: node --test admin_ui.test.mjs

import assert from "node:assert/strict";
import test from "node:test";

import { ahead, begun, taken } from "../../admin-ui/ahead.js";
import * as format from "../../admin-ui/format.js";
import { Paces, secondsLeft } from "../../admin-ui/pace.js";
import { encoded, href, parse } from "../../admin-ui/router.js";
import { condensed, KINDS, sentence, TYPES } from "../../admin-ui/sentences.js";
import { snapshot } from "../../admin-ui/snapshot.js";
import { NAMES, Trends } from "../../admin-ui/trends.js";

const spaced = (text) => text.replaceAll("\u202f", "_");

function table(title, of, rows) {
  test(title, () => {
    for (const [given, wanted] of rows) assert.equal(spaced(of(given)), wanted, `of ${given}`);
  });
}

table("numbers are grouped from five digits on, and what is not known is a dash", format.number, [
  [0, "0"], [999, "999"], [9999, "9999"], [10000, "10_000"], [1234567, "1_234_567"], [-12345, "−12_345"], [-0.2, "0"],
  [null, "–"], [undefined, "–"], [NaN, "–"], [Infinity, "–"], ["7", "–"],
]);
table("narrow places have three digits of a number", format.compact, [
  [0, "0"], [812, "812"], [999.4, "999"], [1000, "1.00_k"], [1280, "1.28_k"], [99_960, "100_k"], [140_000, "140_k"],
  [999_600, "1.00_M"], [1_283_000, "1.28_M"], [null, "–"],
]);
table("sizes are in units of thousands", format.bytes, [
  [0, "0_B"], [812, "812_B"], [999.7, "1.00_kB"], [12_345, "12.3_kB"], [1_234_567_890, "1.23_GB"], [null, "–"],
]);
table("delays are in the unit that fits", format.millis, [
  [0, "0_ms"], [0.08, "80.0_µs"], [0.41, "0.41_ms"], [250, "250_ms"], [12_300, "12.3_s"], [90_000, "1.50_min"], [null, "–"],
]);
table("rates below a hundred have their fractions", format.rate, [
  [0, "0_/s"], [2.5, "2.50_/s"], [42.04, "42.0_/s"], [12_345.6, "12_346_/s"], [null, "–"],
]);
table("shares are in percent, and a little is not nothing", format.percent, [
  [0, "0_%"], [0.0001, "<_0.1_%"], [0.123, "12.3_%"], [0.9996, "100_%"], [1, "100_%"], [null, "–"],
]);
table("durations have two units at most", format.duration, [
  [-3, "0_s"], [42.9, "42_s"], [60, "1_min"], [200, "3_min 20_s"], [18_180, "5_h 3_min"], [273_900, "3_d 4_h"], [null, "–"],
]);
table("axes have no zeros that tell nothing", format.tidy, [
  ["50.0 k", "50 k"], ["1.50 kB", "1.5 kB"], ["100 ms", "100 ms"], ["0", "0"], ["10.05", "10.05"], ["1 000.00", "1 000"],
]);

test("times are relative to the server's clock, also those in the future", () => {
  const at = (passed) => spaced(format.relative(1000 - passed, 1000));
  assert.equal(at(1), "now");
  assert.equal(at(12), "12_s ago");
  assert.equal(at(200), "3_min ago");
  assert.equal(at(-7200), "in 2_h");
  assert.equal(at(86_400), "24_h ago");
  assert.equal(at(3 * 86_400), "3_d ago");
  assert.equal(format.relative(null, 1000), "–");
});

test("an exact time has its date, its milliseconds and its zone", () => {
  assert.match(format.exact("2026-11-28T09:00:00.123Z"), /^2026-11-2\d \d\d:\d\d:00\.123 [+−]\d\d:\d\d$/);
  assert.equal(format.exact("yesterday"), "–");
  assert.equal(format.seconds("2026-11-28T09:00:00.500Z"), 1795856400.5);
});

test("what cannot be seen in a name is written out, emoji and their joiners are left alone", () => {
  assert.deepEqual(format.visible("a\u202eb"), [
    { text: "a", unseen: false }, { text: "U+202E", unseen: true }, { text: "b", unseen: false },
  ]);
  for (const plain of ["<script>", "مرحبا", "👩‍👩‍👧", "☁️", "naïve", "a'\"`"]) {
    assert.deepEqual(format.visible(plain), [{ text: plain, unseen: false }]);
  }
  for (const unseen of ["\0", "\u200b", "\u2066", "\u00ad", "\ufeff", "\ud800", "\u{e0041}", "\u3164"]) {
    assert.equal(format.visible(unseen)[0].unseen, true, unseen.codePointAt(0).toString(16));
  }
});

test("a long name loses its middle, never half an emoji", () => {
  assert.deepEqual(format.shortened("short", 10), ["short", ""]);
  const [begin, end] = format.shortened("x".repeat(200) + "end", 48);
  assert.equal(begin.length + end.length + 1, 48);
  assert.ok(end.endsWith("end"));
  const [family] = format.shortened("👩‍👩‍👧".repeat(30), 10);
  assert.equal(family.length % "👩‍👩‍👧".length, 0);
});

test("an address leads back to the name that it was made of", () => {
  for (const name of ["news", "a/b", "../x", "<script>", "q?x=1&y#z", "%41", "*", "@sue", "\u202egnp", "👩‍👧", "a".repeat(255), "+ "]) {
    const route = parse(href("channels", name, { since: "a&b", none: "" }));
    assert.deepEqual(route, { page: "channels", name, query: { since: "a&b" } });
  }
});

test("addresses that nobody made lead to a page all the same", () => {
  assert.deepEqual(parse(""), { page: "", name: null, query: {} });
  assert.deepEqual(parse("#/"), { page: "", name: null, query: {} });
  assert.deepEqual(parse("#/channels/"), { page: "channels", name: null, query: {} });
  assert.deepEqual(parse("#/channels/%zz"), { page: "channels", name: null, query: {} });
  assert.equal(encoded("\ud800"), "%EF%BF%BD");
});

test("every event that is asked for is a sentence, and one that nobody knows too", () => {
  const data = { worker: 3, pid: 1, why: "it was ended by SIGKILL", again_in_s: 2, per_s: 5, closed: 1, reasons: { "not-found": 2 }, channel: "a", state: "done", written: 1, connections: 2 };
  for (const type of [...TYPES, "gap", "restarted", "new-in-a-later-version"]) {
    const { tone, kind, text } = sentence({ type, data });
    assert.ok(["", "ok", "warn", "bad"].includes(tone) && KINDS.includes(kind), type);
    assert.ok(text.length > 5 && !text.includes("undefined"), text);
  }
  assert.equal(sentence({ type: "clients-slow", data: { closed: 1 } }).text, "1 client was closed as slow.");
  assert.match(sentence({ type: "broadcast", data: { channel: "a\u202eb", state: "paused", written: 1, connections: 2 } }).text, /aU\+202Eb/);
});

test("refusals of each second are told once, with how many more there were", () => {
  const refused = (time) => ({ id: `r${time}`, type: "requests-refused", time, data: {} });
  const events = [refused(100), refused(99), { id: "up", type: "worker-up", time: 98, data: {} }, refused(60), refused(0)];
  const told = condensed(events, 8);
  assert.deepEqual(told.map(({ event, more, since }) => [event.id, more, since]), [["r100", 2, 60], ["up", 0, 98], ["r0", 0, 0]]);
  assert.equal(condensed(events, 1).length, 1);
});

function frame(time, value = time) {
  return {
    time, cpu: value, lag_ms: value, connections: { poll: value, sse: 0, stream: 0, ws: 0 }, rates: { in: 1, out: 2 },
    latency_ms: { p50: null, p99: value }, memory: { total: 5, per_connection: null },
  };
}

function told(end, values) {
  return { step_s: 5, end, series: Object.fromEntries(NAMES.map((name) => [name, values])) };
}

test("trends of an hour stay bounded, however long they run", () => {
  const trends = new Trends();
  for (let t = 0; t < 10_000; t++) trends.append(frame(1_000_000 + t));
  assert.ok(trends.length <= 660 + 310, `${trends.length} points`);
  const [times] = trends.since(0, ["cpu"]);
  assert.ok(times[0] >= 1_000_000 + 9_999 - 3600);
  assert.equal(times.at(-1), 1_009_999);
});

test("points that grow old become fewer: means of what flows, the worst of what hurts", () => {
  const trends = new Trends({ fineS: 10 });
  for (let t = 0; t <= 30; t++) trends.append(frame(1000 + t, t));
  const [times, poll, p99] = trends.since(0, ["connections_poll", "latency_p99_ms"]);
  assert.deepEqual([times[0], poll[0], p99[0]], [1004, 2, 4]);
});

test("a gap between points is a gap in the line", () => {
  const trends = new Trends();
  for (const t of [0, 1, 2, 30, 31]) trends.append(frame(1000 + t));
  const [times, cpu] = trends.since(0, ["cpu"]);
  assert.deepEqual(times, [1000, 1001, 1002, 1016, 1030, 1031]);
  assert.deepEqual(cpu, [1000, 1001, 1002, null, 1030, 1031]);
});

test("what the server kept takes the place of what was seen, and is followed by what came since", () => {
  const trends = new Trends();
  for (const t of [1000, 1001, 1020, 1021, 1026, 1027]) trends.append(frame(t, 7));
  trends.load(told(1025, [null, 1, 2, 3]));
  const [times, cpu] = trends.since(0, ["cpu"]);
  assert.deepEqual(times, [1000, 1001, 1008, 1015, 1020, 1025, 1026, 1027]);
  assert.deepEqual(cpu, [7, 7, null, 1, 2, 3, 7, 7]);
});

test("a manager that knows nothing yet takes nothing away", () => {
  const trends = new Trends();
  trends.append(frame(1000));
  trends.load(told(null, []));
  trends.load(told(1005, [null, null]));
  assert.equal(trends.length, 1);
});

test("a clock that was set back leaves no points in the future", () => {
  const trends = new Trends();
  for (const t of [1000, 1001, 1002]) trends.append(frame(t));
  trends.append(frame(1001.5));
  assert.equal(trends.length, 3);
  trends.append(frame(900));
  assert.deepEqual(trends.since(0, ["cpu"])[0], [900]);
});

test("a chart begins one point before its left side, so that its line comes in from outside", () => {
  const trends = new Trends();
  for (const t of [1000, 1001, 1002, 1003]) trends.append(frame(t));
  assert.deepEqual(trends.since(1002, ["cpu"])[0], [1001, 1002, 1003]);
});

test("where the live stream is held back, figures that were asked for make a frame; a restart shows", () => {
  const stats = { version: "1", started: "2026-11-28T09:00:00Z", connections: { poll: 1, sse: 2, stream: 3, ws: 4 }, store: { messages: 1 } };
  const workers = [
    { worker: 0, state: "up", pid: 7, open: 12, cpu_share: 0.5, lag_s: 0.002, memory_bytes: 9, restarts: 1, drain: null },
    { worker: 1, state: "down", pid: null, open: null, cpu_share: null, lag_s: null, memory_bytes: null, restarts: 2, drain: null },
  ];
  const trend = { step_s: 5, end: 1795856500, series: { in: [null, 3], cpu: [1, 0.5] } };
  const first = snapshot(stats, workers, trend, null);
  assert.deepEqual([first.time, first.open, first.rates.in, first.rates.out, first.cpu], [1795856500, 12, 3, null, 0.5]);
  assert.deepEqual([first.workers[0].lag_ms, first.workers[1].lag_ms], [2, null]);
  const live = { started: stats.started, epoch: "e", room: 100, cores: 2, store: { max_bytes: 9 }, workers: [{ worker: 0, room: 50 }] };
  const next = snapshot(stats, workers, trend, live);
  assert.deepEqual([next.epoch, next.room, next.workers[0].room, next.store.max_bytes], ["e", 100, 50, 9]);
  const other = snapshot({ ...stats, started: "2026-11-28T10:00:00Z" }, workers, trend, live);
  assert.notEqual(other.epoch, "e");
});

test("what is under way has the pace of its last five seconds, and none before two were seen", () => {
  const paces = new Paces();
  paces.add(100, [["a", 0]]);
  assert.equal(paces.perS("a"), null);
  paces.add(101, [["a", 40], ["b", 7]]);
  assert.equal(paces.perS("a"), 40);
  for (let time = 102; time <= 110; time++) paces.add(time, [["a", 40 + (time - 101) * 10]]);
  assert.equal(paces.perS("a"), 10);
  assert.equal(paces.perS("b"), null, "what is over is forgotten");
  paces.add(111, [["a", 3]]);
  assert.equal(paces.perS("a"), null, "what begins anew is measured anew");
});
test("how long it takes is told by the measured pace, and before there is one by the one that was asked for", () => {
  assert.deepEqual([secondsLeft(100, 50, 10), secondsLeft(100, null, 10), secondsLeft(0, null, 10), secondsLeft(5, 0, 10)], [2, 10, 0, null]);
});

/** A question whose answer is given by hand. */
function question(key) {
  const asked = { key, signals: [] };
  asked.load = (signal) => {
    asked.signals.push(signal);
    return new Promise((answer, refuse) => Object.assign(asked, { answer, refuse }));
  };
  return asked;
}

const never = () => new Promise(() => {});

test("what is asked ahead is waited for, and has its answer when the page is drawn", async () => {
  const [one, other] = [question("one"), question("other")];
  let isReady = false;
  const ready = ahead([one, other], never).then(() => (isReady = true));
  one.answer({ n: 1 });
  await taken("one").done;
  assert.equal(isReady, false);
  other.refuse(new Error("gone"));
  await ready;
  assert.equal(taken("other").answer.problem.message, "gone");
  assert.equal(one.signals.length + other.signals.length, 2);
});

test("who goes to a page waits for a moment, not for a server that is slow; the answer is still to come", async () => {
  const slow = question("slow");
  await ahead([slow], async () => {});
  const asked = taken("slow");
  assert.equal(asked.answer, null);
  slow.answer([7]);
  assert.deepEqual(await asked.done, { data: [7] });
  assert.deepEqual(asked.answer, { data: [7] });
  assert.equal(slow.signals[0].aborted, false);
});

test("what was asked ahead is given once, and given up when one goes elsewhere before", async () => {
  const [left, kept] = [question("left"), question("kept")];
  await ahead([left, kept], async () => {});
  assert.ok(taken("kept"));
  assert.equal(taken("kept"), undefined);
  await ahead([question("left")], async () => {});
  assert.equal(left.signals[0].aborted, true);
  assert.equal(kept.signals[0].aborted, false);
  assert.notEqual(taken("left").control.signal, left.signals[0]);
});

test("an answer that is no promise, or an error at once, is an answer as well", async () => {
  assert.deepEqual(await begun({ key: "a", load: () => null }).done, { data: null });
  const problem = new Error("no such name");
  const load = () => {
    throw problem;
  };
  assert.deepEqual(await begun({ key: "b", load }).done, { problem });
});
