import assert from "node:assert/strict";
import test from "node:test";
import { Comet } from "./doubles/comet.js";
import { ALL, Linked } from "./doubles/linked.js";
import { Numbers } from "./doubles/numbers.js";
import { settle } from "./doubles/world.js";
import { Link } from "../src/link.js";

const NUMBERS = 10_000;

/** @returns {() => number} the same numbers from 0 to below 1 for the same seed (mulberry32) */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ten thousand numbers while the net is cut, blocked, slow, and the client changes its channels. */
async function storm(seed, { makeLink = (world, tell) => new Link({ ...world.options, environment: world.environment }, tell) } = {}) {
  const random = seeded(seed);
  const below = (most) => Math.floor(random() * most);
  const world = new Linked({}, [], { random });
  world.options = { url: "http://comet.test/", transports: ALL };
  const comet = new Comet(world);
  const numbers = new Numbers({ news: 1, sport: 1 });
  const last = { news: 0, sport: 0 };
  const used = new Set();
  const link = makeLink(world, (event) => {
    if (event.state === "connected") used.add(event.transport);
    numbers.hear(event);
  });
  link.subscribe("news");
  link.connect();
  await world.pass(100);
  while (last.news < NUMBERS) {
    for (let n = below(40); n; n--) {
      comet.publish("news", ++last.news);
      if (random() < 0.3) comet.publish("sport", ++last.sport);
      if (random() < 0.2) await settle();
    }
    const what = below(100);
    if (what < 8) comet.cut(false);
    else if (what < 10) comet.cut(true);
    else if (what < 20) comet.blocked.set(["websocket", "events", "poll"][below(3)], ["fail", "hang", "html"][below(3)]);
    else if (what < 40) comet.blocked.clear();
    else if (what < 50) link.wake(["visible", "online", "network", "resume"][below(4)]);
    else if (what < 55) comet.delay = () => below(4000);
    else if (what < 60) comet.delay = () => below(50);
    else if (what < 62) world.sleep(below(600_000));
    else if (what < 63) link.subscribe("sport", "oldest");
    else if (what < 66) link[["subscribe", "unsubscribe"][below(2)]]("other");
    else if (what < 67) link.disconnect();
    if (what < 75) link.connect();
    await world.pass(below(what < 80 ? 2000 : 70_000));
  }
  link.subscribe("sport", "oldest");
  link.connect();
  comet.blocked.clear();
  comet.delay = () => 10;
  await world.pass(300_000);
  link.disconnect();
  return { faults: numbers.end(last), used: [...used].sort() };
}

// Each of these seeds takes the link through all of its transports.
for (const seed of [1, 3, 4, 5, 6, 7]) {
  test(`Each of 10,000 numbers is told once and in order, whatever the net does (${seed}).`, async () => {
    const { faults, used } = await storm(seed);
    assert.deepEqual(faults.slice(0, 5), []);
    assert.deepEqual(used, ["poll", "sse", "websocket"]);
  });
}

/** A link that opens the better transport beside, as the real one does, and has no memory of ids. */
class Forgetful {
  #world;
  #tell;
  #links = [];

  constructor(world, tell) {
    this.#world = world;
    this.#tell = tell;
    this.#open("");
  }

  #open(since) {
    const link = new Link({ ...this.#world.options, since, environment: this.#world.environment }, (event) => {
      this.#tell(event);
      if (event.state === "connected" && link !== this.#links[0]) this.#links.shift().disconnect();
    });
    link.subscribe("news");
    this.#links.push(link);
  }

  connect() {
    for (const link of this.#links) link.connect();
  }

  disconnect() {
    for (const link of this.#links) link.disconnect();
  }

  subscribe() {}
  unsubscribe() {}

  wake() {
    if (this.#links.length > 1) return;
    this.#open(this.#links[0].position);
    this.connect();
  }
}

test("A link without a memory of ids does not pass that.", async () => {
  const { faults } = await storm(1, { makeLink: (world, tell) => new Forgetful(world, tell) });
  assert.match(faults[0], /^news: \d+ and not \d+$/);
});

for (const [what, told, fault] of [
  ["one that is lost", [1, 3], "a: 3 and not 2"],
  ["one that is told twice", [1, 2, 2], "a: 2 and not 3"],
  ["two in the wrong order", [2, 1], "a: 2 and not 1"],
  ["an end that is missing", [1, 2], "a: ends before 3 and not with 3"],
]) {
  test(`The check of numbers sees ${what}.`, () => {
    const numbers = new Numbers({ a: 1 });
    for (const data of told) numbers.hear({ type: "message", channel: "a", data });
    assert.equal(numbers.end({ a: 3 })[0], fault);
  });
}

test("The check of numbers lets a gap be one, and no channel that is not heard.", () => {
  const numbers = new Numbers({ a: 1 });
  numbers.hear({ type: "message", channel: "a", data: 1 });
  numbers.hear({ type: "gap", channels: ["a"] });
  numbers.hear({ type: "message", channel: "a", data: 7 });
  assert.deepEqual(numbers.end({ a: 7 }), []);
  numbers.hear({ type: "message", channel: "b", data: 1 });
  assert.deepEqual(numbers.faults, ["b is not heard, and 1 came"]);
});
