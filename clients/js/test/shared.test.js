// Tabs that share one connection, in a browser of our own: by a shared worker, and by a tab that leads the others.

import assert from "node:assert/strict";
import test from "node:test";

import { startWorker } from "../src/worker.js";
import { BrowserDouble } from "./doubles/browser.js";

const WORKER = {};
const LEADER = { SharedWorker: undefined };

function both(title, run) {
  test(`${title}, by a worker`, () => run(new BrowserDouble(), WORKER));
  test(`${title}, by a leader`, () => run(new BrowserDouble(), LEADER));
}

const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);

/** Opens tabs that all hear a channel; they are settled. */
async function tabsOf(browser, means, count, options) {
  const tabs = numbers(0, count).map(() => browser.open(means));
  for (const tab of tabs) {
    tab.connection = tab.comet(options);
    tab.connection.subscribe("news");
    await browser.settle();
  }
  return tabs;
}

function publish(browser, channel, from, to) {
  for (const n of numbers(from, to)) browser.server.publish(channel, n);
}

both("two tabs share one connection, and each is told what it has subscribed to", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  two.connection.subscribe("sport");
  await browser.settle();
  browser.server.publish("news", 1);
  browser.server.publish("sport", 2);
  browser.server.publish("*", 3);
  await browser.settle();

  assert.equal(browser.server.sockets.size, 1);
  assert.deepEqual(one.told, [["news", 1], ["*", 3]]);
  assert.deepEqual(two.told, [["news", 1], ["sport", 2], ["*", 3]]);
});

both("all that is subscribed to in one turn is in the first request, which is the only one", async (browser, means) => {
  const comet = browser.open(means).comet({ client: "sue" });
  comet.subscribe("news");
  comet.subscribe("sport");
  await browser.settle();

  const asked = browser.server.asked.map((url) => new URL(url).search);
  assert.deepEqual(asked, ["?since=&client=sue&channel=news&channel=sport"]);
});

both("a channel is left when the last tab has left it", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  one.connection.unsubscribe("news");
  await browser.settle();
  browser.server.publish("news", 1);
  await browser.settle();
  assert.deepEqual([one.told, two.told], [[], [["news", 1]]]);

  two.connection.subscriptions.get("news").unsubscribe();
  await browser.settle();
  assert.ok(![...browser.server.sockets][0].hears("news"));
  one.connection.subscriptions.get("news").subscribe();
  await browser.settle();
  browser.server.publish("news", 2);
  await browser.settle();
  assert.deepEqual([one.told, two.told], [[["news", 2]], [["news", 1]]]);
});

both("what a tab heard that died is left, and with the last one the connection", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  two.connection.subscribe("sport");
  await browser.settle();
  two.die();
  await browser.settle();
  const [socket] = browser.server.sockets;
  assert.deepEqual([socket.hears("news"), socket.hears("sport")], [true, false]);

  one.close();
  await browser.settle();
  assert.equal(browser.server.sockets.size, 0);
});

both("a tab that disconnects takes nothing from the others, and comes back without a miss", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  publish(browser, "news", 0, 2);
  await browser.settle();
  one.connection.disconnect();
  assert.equal(one.connection.state, "disconnected");
  publish(browser, "news", 2, 4);
  await browser.settle();
  assert.deepEqual([one.of("news"), two.of("news")], [numbers(0, 2), numbers(0, 4)]);

  one.connection.connect();
  await browser.settle();
  publish(browser, "news", 4, 6);
  await browser.settle();
  assert.deepEqual([one.of("news"), two.of("news")], [numbers(0, 6), numbers(0, 6)]);
  assert.equal(browser.server.sockets.size, 1);
});

// The tab that leads goes in one way or another, while messages come.
async function lose(go) {
  const browser = new BrowserDouble();
  const tabs = await tabsOf(browser, LEADER, 3);
  publish(browser, "news", 0, 5);
  await browser.some(4);
  await go(tabs[0], browser);
  publish(browser, "news", 5, 10);
  await browser.settle();
  publish(browser, "news", 10, 15);
  await browser.settle();
  return { browser, tabs };
}

const WAYS_TO_GO = {
  "is closed": (tab) => tab.close(),
  "dies": (tab) => tab.die(),
  "disconnects": (tab) => tab.connection.disconnect(),
  "is frozen": (tab) => tab.signal("freeze"),
  "stops to answer": async (tab, browser) => {
    tab.isFrozen = true;
    await browser.pass(40_000);
  },
};

for (const [how, go] of Object.entries(WAYS_TO_GO)) {
  test(`when the tab that leads ${how}, another one goes on: nothing is lost or repeated`, async () => {
    const { browser, tabs: [, one, two] } = await lose(go);
    assert.deepEqual([one.of("news"), two.of("news")], [numbers(0, 15), numbers(0, 15)]);
    assert.ok(browser.server.sockets.size <= (how === "stops to answer" ? 2 : 1));
  });
}

test("a server that does not tell what was missed, or tells it under other ids, is seen", async () => {
  const go = (answers) => async (tab, browser) => {
    browser.server.answers = answers;
    tab.die();
  };
  const { tabs: [, , lossy] } = await lose(go(() => []));
  assert.notDeepEqual(lossy.of("news"), numbers(0, 15));
  assert.equal(new Set(lossy.of("news")).size, lossy.of("news").length);
  const doubled = (messages) => messages.flatMap((each) => [{ ...each, id: `${each.id}.1` }, each]);
  const { tabs: [, , twice] } = await lose(go(doubled));
  assert.notDeepEqual(twice.of("news"), numbers(0, 15));
});

test("a tab that led and slept through its end follows when it wakes up, and misses nothing", async () => {
  const browser = new BrowserDouble();
  const [one, two] = await tabsOf(browser, LEADER, 2);
  publish(browser, "news", 0, 3);
  await browser.settle();
  one.isFrozen = true;
  publish(browser, "news", 3, 6);
  two.document.visibilityState = "visible";
  two.signal("visibilitychange");
  await browser.pass(3000);
  publish(browser, "news", 6, 9);
  await browser.settle();
  assert.deepEqual(two.of("news"), numbers(0, 9));

  one.isFrozen = false;
  await browser.pass(60_000);
  publish(browser, "news", 9, 12);
  await browser.settle();
  assert.deepEqual([one.of("news"), two.of("news")], [numbers(0, 12), numbers(0, 12)]);
  assert.equal(browser.server.sockets.size, 1);

  two.die();
  publish(browser, "news", 12, 15);
  await browser.settle();
  assert.deepEqual(one.of("news"), numbers(0, 15));
});

test("who has closed its connection holds nothing and waits for nothing", async () => {
  const browser = new BrowserDouble();
  const tabs = await tabsOf(browser, LEADER, 3);
  assert.ok(browser.locks.count > 3);
  for (const { connection } of tabs) connection.close();
  await browser.settle();
  assert.equal(browser.locks.count, 0);
});

both("a page that is kept for the way back lets go, and goes on where it was", async (browser, means) => {
  const [tab] = await tabsOf(browser, means, 1);
  publish(browser, "news", 0, 2);
  await browser.settle();
  tab.signal("pagehide");
  await browser.settle();
  assert.equal(browser.server.sockets.size, 0);
  publish(browser, "news", 2, 4);
  tab.signal("pageshow");
  await browser.settle();
  publish(browser, "news", 4, 6);
  await browser.settle();

  assert.deepEqual(tab.of("news"), numbers(0, 6));
  assert.ok(!tab.events.some(([name]) => name === "disconnected"));
});

for (const [remember, wanted] of [["page", numbers(0, 6)], ["", numbers(4, 6)]]) {
  both(`a page that is loaded again goes on where it was if it remembers, "${remember}"`, async (browser, means) => {
    const storage = new Map();
    const before = browser.open(means, storage);
    before.comet({ remember }).subscribe("news");
    await browser.settle();
    publish(browser, "news", 0, 2);
    await browser.settle();
    before.close();
    publish(browser, "news", 2, 4);
    await browser.settle();
    const after = Object.assign(browser.open(means, storage), { told: remember ? before.told : [] });
    after.comet({ remember }).subscribe("news");
    await browser.settle();
    publish(browser, "news", 4, 6);
    await browser.settle();
    assert.deepEqual(after.of("news"), wanted);
  });
}

both("a page whose storage is forbidden works as others do", async (browser, means) => {
  const tab = browser.open(means);
  Object.defineProperty(tab.page, "sessionStorage", {
    get() {
      throw new DOMException("denied", "SecurityError");
    },
  });
  tab.comet({ remember: "page" }).subscribe("news");
  await browser.settle();
  browser.server.publish("news", 1);
  await browser.settle();
  assert.deepEqual(tab.told, [["news", 1]]);
  tab.close();
});

both("who subscribes with a position is told what was missed, and the others are not again", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  publish(browser, "news", 0, 3);
  publish(browser, "sport", 0, 3);
  await browser.settle();
  const late = browser.open(means);
  const comet = late.comet();
  comet.subscribe("news", { since: "oldest" });
  comet.subscribe("sport", { since: "e-5" });
  publish(browser, "news", 3, 4);
  await browser.settle();
  publish(browser, "news", 4, 5);
  await browser.settle();

  assert.deepEqual([late.of("news"), late.of("sport")], [numbers(0, 5), [2]]);
  assert.deepEqual([one.of("news"), two.of("news")], [numbers(0, 5), numbers(0, 5)]);
  assert.equal(comet.position, browser.server.head);
});

both("a gap is told to whom it concerns", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  publish(browser, "news", 0, 5);
  await browser.settle();
  two.connection.disconnect();
  publish(browser, "news", 5, 10);
  browser.server.lost = 8;
  const gaps = [];
  two.connection.subscriptions.get("news").on("gap", (event) => gaps.push(event));
  two.connection.connect();
  await browser.settle();

  assert.deepEqual(two.of("news"), [...numbers(0, 5), 8, 9]);
  assert.equal(gaps.length, 1);
  assert.ok(!one.events.some(([name]) => name === "gap"));
});

both("a channel that the server refuses is told as such, and the others go on", async (browser, means) => {
  const [one] = await tabsOf(browser, means, 2);
  const told = [];
  const refused = one.connection.subscribe("forbidden");
  refused.on("unsubscribed", (event) => told.push(event));
  await browser.settle();
  browser.server.publish("news", 1);
  await browser.settle();

  assert.deepEqual(told, [{ code: 103, reason: "no" }]);
  assert.equal(refused.state, "unsubscribed");
  assert.deepEqual(one.told, [["news", 1]]);
  refused.subscribe();
  await browser.settle();
  assert.equal(told.length, 2);
});

both("a tab publishes by the connection of all, and is told what became of it", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  const { id } = await during(browser, two.connection.publish("news", { n: 1 }));
  assert.equal(id, "e-1");
  assert.deepEqual(one.told, [["news", { n: 1 }]]);
  await assert.rejects(during(browser, two.connection.publish("forbidden", 1)), { code: 103 });
  await assert.rejects(two.connection.publish("news", undefined), /bad data/);
  two.connection.disconnect();
  await assert.rejects(two.connection.publish("news", 1), { code: 0 });
});

async function during(browser, promise) {
  promise.catch(() => {});
  await browser.settle();
  return promise;
}

test("a publication whose answer is lost with the tab that led is told to be uncertain", async () => {
  const browser = new BrowserDouble();
  const [one, two] = await tabsOf(browser, LEADER, 2);
  const published = two.connection.publish("news", 1);
  published.catch(() => {});
  one.die();
  await browser.settle();
  await assert.rejects(published, { code: 0, message: /may have been published/ });
});

both("a connection that breaks is made again by one, and all are told of it", async (browser, means) => {
  const tabs = await tabsOf(browser, means, 3);
  publish(browser, "news", 0, 2);
  await browser.settle();
  browser.server.cut(3001, "shutdown");
  publish(browser, "news", 2, 4);
  await browser.settle();
  for (const { connection } of tabs) assert.equal(connection.state, "connecting");
  await browser.pass(1000);
  for (const tab of tabs) {
    assert.equal(tab.connection.state, "connected");
    assert.deepEqual(tab.of("news"), numbers(0, 4));
    assert.equal(tab.events.filter(([name, { code }]) => name === "connecting" && code === 3001).length, 1);
  }
  assert.equal(browser.server.asked.length, 2);
});

both("one that is closed for good is so for all, until a tab connects", async (browser, means) => {
  const tabs = await tabsOf(browser, means, 2);
  browser.server.cut(3503, "cut off");
  await browser.pass(100_000);
  for (const { connection, events } of tabs) {
    assert.equal(connection.state, "disconnected");
    assert.deepEqual(events.at(-1), ["disconnected", { code: 3503, reason: "cut off" }]);
  }
  tabs[1].connection.connect();
  await browser.settle();
  for (const { connection } of tabs) assert.equal(connection.state, "connected");
});

both("what happens to a page is told to the connection of all", async (browser, means) => {
  const [, two] = await tabsOf(browser, means, 2);
  browser.server.isDown = true;
  browser.server.cut();
  await browser.pass(100_000);
  const tries = browser.server.asked.length;
  browser.server.isDown = false;
  two.signal("online");
  await browser.settle();
  assert.ok(browser.server.asked.length > tries);
  assert.equal(two.connection.state, "connected");
});

both("who wants more channels than a connection takes has one of its own", async (browser, means) => {
  const [one, two] = await tabsOf(browser, means, 2);
  publish(browser, "news", 0, 2);
  await browser.settle();
  for (const n of numbers(0, 128)) two.connection.subscribe(`c${n}`);
  publish(browser, "news", 2, 4);
  await browser.settle();
  browser.server.publish("c127", 1);
  publish(browser, "news", 4, 6);
  await browser.settle();

  assert.equal(browser.server.sockets.size, 2);
  assert.deepEqual(two.of("c127"), [1]);
  for (const tab of [one, two]) assert.deepEqual(tab.of("news"), numbers(0, 6));
});

// -- ways that lead nowhere

async function works(browser, means, count, connections) {
  const tabs = await tabsOf(browser, means, count);
  await browser.pass(5000);
  publish(browser, "news", 0, 3);
  await browser.settle();
  for (const tab of tabs) assert.deepEqual(tab.of("news"), numbers(0, 3));
  assert.equal(browser.server.sockets.size, connections);
}

test("a worker that cannot be loaded: a tab leads", async () => {
  const browser = new BrowserDouble();
  browser.workers = null;
  await works(browser, WORKER, 3, 1);
});

test("a worker that does not answer: a tab leads", async () => {
  const browser = new BrowserDouble();
  browser.nameOf = () => "somebody else's";
  await works(browser, WORKER, 3, 1);
});

test("a worker of another version: a tab leads", async () => {
  const browser = new BrowserDouble();
  browser.nameOf = (name) => name.replace(/\d+\.\d+\.\d+/, "0.0.1");
  await works(browser, WORKER, 3, 1);
});

test("a worker that stops to answer: a tab leads, and nothing is lost", async () => {
  const browser = new BrowserDouble();
  const tabs = await tabsOf(browser, WORKER, 3);
  publish(browser, "news", 0, 3);
  await browser.settle();
  for (const worker of browser.workers.values()) browser.end(worker);
  publish(browser, "news", 3, 6);
  await browser.pass(60_000);
  publish(browser, "news", 6, 9);
  await browser.settle();
  for (const tab of tabs) assert.deepEqual(tab.of("news"), numbers(0, 9));
  assert.equal(browser.server.sockets.size, 1);
});

test("a worker that answers too late has no connection any more", async () => {
  const browser = new BrowserDouble();
  const tabs = await tabsOf(browser, WORKER, 2);
  const [worker] = browser.workers.values();
  worker.isFrozen = true;
  await browser.pass(60_000);
  assert.equal(browser.server.sockets.size, 2);
  worker.isFrozen = false;
  await browser.settle();
  publish(browser, "news", 0, 2);
  await browser.settle();
  for (const tab of tabs) assert.deepEqual(tab.of("news"), numbers(0, 2));
  assert.equal(browser.server.sockets.size, 1);
});

test("a page that was busy does not take that for silence of the others", async () => {
  const browser = new BrowserDouble((count) => count - 1);
  const [, two] = await tabsOf(browser, WORKER, 2);
  two.signal("visibilitychange");
  two.isFrozen = true;
  await browser.pass(4000);
  two.isFrozen = false;
  await browser.pass(10_000);
  assert.equal(browser.server.asked.length, 1);
});

test("a page that is left while it catches up has kept a position from which nothing is lost", async () => {
  const browser = new BrowserDouble();
  const [tab] = await tabsOf(browser, { fetch: () => new Promise(() => {}) }, 1);
  publish(browser, "news", 0, 2);
  await browser.settle();
  tab.connection.disconnect();
  publish(browser, "news", 2, 4);
  tab.connection.connect();
  await browser.settle();
  publish(browser, "news", 4, 5);
  await browser.settle();
  assert.deepEqual([tab.of("news"), tab.connection.position], [numbers(0, 2), "e-2"]);
});

test("what was missed and cannot be fetched is a gap, and what comes is told behind it", async () => {
  const browser = new BrowserDouble();
  const [tab] = await tabsOf(browser, { fetch: () => Promise.reject(new TypeError("blocked")) }, 1);
  publish(browser, "news", 0, 2);
  await browser.settle();
  tab.connection.disconnect();
  publish(browser, "news", 2, 4);
  tab.connection.connect();
  await browser.settle();
  publish(browser, "news", 4, 6);
  await browser.pass(200_000);
  publish(browser, "news", 6, 7);
  await browser.settle();
  assert.deepEqual(tab.of("news"), [0, 1, 4, 5, 6]);
  assert.ok(tab.events.some(([name, { channels }]) => name === "gap" && channels.includes("news")));
});

test("in a worker that somebody else has started, the library starts nothing", () => {
  for (const name of ["", "chat", '["chat"]']) {
    const scope = { name };
    startWorker(scope);
    assert.deepEqual(scope, { name });
  }
});

const NOTHING_TO_SHARE_BY = {
  "no worker of that page's origin, and no locks": { SharedWorker: undefined, locks: undefined },
  "no channels between tabs": { SharedWorker: undefined, BroadcastChannel: undefined },
  "an opaque origin": {
    SharedWorker: class {
      constructor() {
        throw new DOMException("denied", "SecurityError");
      }
    },
    locks: { request: () => Promise.reject(new DOMException("denied", "SecurityError")) },
  },
};
test("no locks, and a policy against workers: each tab has a connection of its own", async () => {
  const browser = new BrowserDouble();
  browser.hasLocks = false;
  browser.workers = null;
  await works(browser, WORKER, 2, 2);
});

for (const [what, means] of Object.entries(NOTHING_TO_SHARE_BY)) {
  test(`${what}: each tab has a connection of its own`, () => works(new BrowserDouble(), means, 2, 2));
}

test("trusted types forbid the worker's address: a tab leads", async () => {
  const forbids = class {
    constructor() {
      throw new TypeError("This document requires 'TrustedScriptURL' assignment.");
    }
  };
  await works(new BrowserDouble(), { SharedWorker: forbids }, 3, 1);
});

test("a library that has become part of another file starts no worker from it", async () => {
  const browser = new BrowserDouble();
  await works(browser, { own: "https://shop.example/assets/index-3f2a.js" }, 3, 1);
  assert.equal(browser.workers.size, 0);
});

test("a page without locks shares by a worker, whose tabs say when they go", async () => {
  const browser = new BrowserDouble();
  browser.hasLocks = false;
  const [one, two] = await tabsOf(browser, WORKER, 2);
  assert.equal(browser.server.sockets.size, 1);
  one.close();
  two.close();
  await browser.settle();
  assert.equal(browser.server.sockets.size, 0);
});

test("another server, client or choice of transports is another connection", async () => {
  const browser = new BrowserDouble();
  for (const options of [{}, { client: "sue" }, { transports: ["websocket"] }, { credentials: "include" }]) {
    await tabsOf(browser, WORKER, 2, options);
  }
  assert.equal(browser.server.sockets.size, 4);
});

both("a tab that publishes and goes in the same moment is told that it may have been, and nothing is left behind", async (browser, means) => {
  const [tab] = await tabsOf(browser, means, 1);
  const published = tab.connection.publish("news", 1).catch(({ code }) => code);
  await browser.some(0);
  tab.connection.disconnect();
  assert.equal(await published, 0);
  // What the hub is answered behind that finds no channel any more; whatever it throws fails the test.
  await browser.settle();
});
