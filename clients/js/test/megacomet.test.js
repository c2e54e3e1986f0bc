// What a page sees: addresses, names, events, listeners, positions. Without tabs: those stand in shared.test.js.

import assert from "node:assert/strict";
import test from "node:test";

import { MegaComet, VERSION } from "../src/index.js";
import { BrowserDouble } from "./doubles/browser.js";

/** A tab that shares nothing. */
function alone(options = {}) {
  const browser = new BrowserDouble();
  const tab = browser.open();
  return { browser, tab, comet: tab.comet({ shared: false, ...options }) };
}

/** Where it would connect to. */
async function asked(url, environment = {}) {
  const browser = new BrowserDouble();
  const tab = browser.open(environment);
  new MegaComet(url, { environment: tab.environment, shared: false }).subscribe("news");
  await browser.settle();
  return browser.server.asked[0];
}

test("an address may have a path, or be one below the page's", async () => {
  const query = "comet/ws?since=&channel=news";
  assert.equal(await asked("https://comet.example"), `wss://comet.example/${query}`);
  assert.equal(await asked("http://comet.example:8080/push?a=b#c"), `ws://comet.example:8080/push/${query}`);
  assert.equal(await asked(new URL("https://comet.example/push/")), `wss://comet.example/push/${query}`);
  assert.equal(await asked("/push"), `wss://shop.example/push/${query}`);
});

test("without an address it is the server that the library came from, else the page's", async () => {
  const query = "comet/ws?since=&channel=news";
  assert.equal(await asked(undefined, { own: "https://cdn.example/x/megacomet.mjs" }), `wss://cdn.example/${query}`);
  assert.equal(await asked(undefined, { own: "file:///x/own_url.js" }), `wss://shop.example/${query}`);
  assert.equal(await asked(undefined, { own: "" }), `wss://shop.example/${query}`);
});

test("options may stand alone", () => {
  const { tab } = alone();
  assert.equal(new MegaComet({ client: "sue", autoConnect: false, environment: tab.environment }).client, "sue");
});

test("what is not known yet may be given as nothing", async () => {
  const nothing = { client: undefined, since: null, transports: undefined, remember: undefined, credentials: undefined };
  const { browser, comet } = alone(nothing);
  comet.subscribe("news", { since: null });
  comet.subscribe("sport", undefined);
  await browser.settle();
  assert.deepEqual([comet.state, comet.client, comet.mailbox], ["connected", "", null]);
});

for (const [what, args] of Object.entries({
  "bad url": ["nowhere"],
  'bad url "ftp://a/"': ["ftp://a/"],
  "bad url undefined": [],
  "bad client": ["http://a/", { client: "a b" }],
  'bad client ".."': ["http://a/", { client: ".." }],
  'bad since "yesterday"': ["http://a/", { since: "yesterday" }],
  'bad transports ["pigeon"]': ["http://a/", { transports: ["pigeon"] }],
  'bad transports "sse"': ["http://a/", { transports: "sse" }],
  "bad transports []": ["http://a/", { transports: [] }],
  'bad credentials "omit"': ["http://a/", { credentials: "omit" }],
})) {
  test(`${what} is refused, and named`, () => {
    assert.throws(
      () => new MegaComet(...args),
      ({ name, message }) => name === "TypeError" && message.startsWith(`megacomet: ${what}`),
    );
  });
}

test("names that the server would refuse are refused where they are said", async () => {
  const { comet } = alone();
  const bad = ["", " ", "a b", "a\u00a0b", "a\u0000", ".", "..", "@sue", "*", "x".repeat(256), "ü".repeat(128), "\ud800"];
  for (const name of [...bad, 7, undefined, null]) {
    assert.throws(() => comet.subscribe(name), /megacomet: bad channel/, JSON.stringify(name));
    await assert.rejects(comet.publish(name, 1), /megacomet: bad channel/);
  }
  for (const name of ["a", "a:b/c", "...", "*a", "x".repeat(255), "ü".repeat(127), "👩‍👩‍👧"]) comet.subscribe(name);
  assert.throws(() => comet.subscribe("news", { since: "7" }), /bad since/);
});

test("a connection tells what becomes of it", async () => {
  const { browser, tab, comet } = alone();
  comet.subscribe("news");
  assert.equal(comet.state, "disconnected");
  await browser.settle();
  assert.deepEqual([comet.state, comet.transport, comet.position], ["connected", "websocket", "e-0"]);
  browser.server.cut(3001, "retry=4");
  await browser.settle();
  assert.deepEqual([comet.state, comet.transport], ["connecting", ""]);
  await browser.pass(10_000);
  comet.disconnect();

  assert.deepEqual(tab.events.map(([name, { code, reason }]) => [name, code, reason]), [
    ["connecting", 0, ""],
    ["connected", undefined, undefined],
    ["connecting", 3001, "retry=4"],
    ["connected", undefined, undefined],
    ["disconnected", 0, ""],
  ]);
  assert.ok(tab.events[2][1].delay >= 4000);
});

test("where a connection stands is told with it, and again when a better transport has taken over", async () => {
  let link;
  class Told {
    constructor(_options, tell) {
      link = Object.assign(this, { tell });
    }
    connect() {}
  }
  const { tab, comet } = alone({ environment: { Link: Told } });
  await Promise.resolve();
  for (const [transport, position] of [["poll", "e-1"], ["poll", "e-2"], ["websocket", "e-3"]]) {
    link.position = position;
    link.tell({ type: "state", state: "connected", transport, code: 0, reason: "", delay: 0 });
    assert.equal(comet.transport, transport);
  }
  assert.deepEqual(tab.events, [
    ["connected", { transport: "poll", position: "e-1" }],
    ["connected", { transport: "websocket", position: "e-3" }],
  ]);
});

test("nothing is connected before somebody asks for it", async () => {
  const { browser, comet } = alone({ autoConnect: false });
  comet.subscribe("news");
  await browser.settle();
  assert.deepEqual([comet.state, browser.server.asked], ["disconnected", []]);
  comet.connect();
  await browser.settle();
  assert.equal(comet.state, "connected");
});

test("who disconnects in the turn that made it is not connected", async () => {
  const { browser, comet } = alone();
  comet.disconnect();
  await browser.settle();
  assert.deepEqual(browser.server.asked, []);
});

test("there is one subscription for a channel, which tells what comes on it and what it has become", async () => {
  const { browser, comet } = alone();
  const told = [];
  const news = comet.subscribe("news");
  for (const name of ["message", "subscribed", "unsubscribed"]) news.on(name, (event) => told.push([name, event]));
  assert.equal(comet.subscribe("news"), news);
  assert.deepEqual([news.channel, news.state, comet.subscriptions.get("news")], ["news", "subscribing", news]);
  await browser.settle();
  assert.equal(news.state, "subscribed");
  browser.server.publish("news", { a: [1] });
  await browser.settle();
  news.unsubscribe();
  news.unsubscribe();
  assert.equal(news.state, "unsubscribed");
  assert.equal(news.subscribe(), news);
  await browser.settle();

  assert.deepEqual(told.map(([name, { id, code }]) => [name, id ?? code]), [
    ["subscribed", undefined],
    ["message", "e-1"],
    ["unsubscribed", 0],
    ["subscribed", undefined],
  ]);
  assert.deepEqual(told[1][1], { channel: "news", id: "e-1", data: { a: [1] } });
});

for (const shared of [true, false]) {
  test(`what comes to the client comes by its mailbox, all by the connection; shared: ${shared}`, async () => {
    const { browser, tab, comet } = alone({ client: "sue", shared });
    const told = [];
    comet.mailbox.on("message", ({ data }) => told.push(data));
    await browser.settle();
    assert.equal(comet.mailbox.state, "subscribed");
    browser.server.publish("@sue", 1);
    browser.server.publish("@bob", 2);
    browser.server.publish("*", 3);
    await browser.settle();
    assert.deepEqual(told, [1]);
    assert.deepEqual(tab.told, [["@sue", 1], ["*", 3]]);
    assert.equal(alone().comet.mailbox, null);
  });
}

for (const shared of [true, false]) {
  test(`what is published in the turn that made the connection waits for it; shared: ${shared}`, async () => {
    const { browser, comet } = alone({ shared });
    const published = comet.publish("news", 1);
    await browser.settle();
    assert.deepEqual(await published, { id: "e-1" });
  });
}

test("a listener that fails is reported, and stops neither the others nor the connection", async (t) => {
  const { browser, tab, comet } = alone();
  const reported = [];
  globalThis.reportError = ({ message }) => reported.push(message);
  t.after(() => delete globalThis.reportError);
  comet.subscribe("news").on("message", () => {
    throw new Error("of the page");
  });
  await browser.settle();
  browser.server.publish("news", 1);
  browser.server.publish("news", 2);
  await browser.settle();
  assert.deepEqual(tab.of("news"), [1, 2]);
  assert.deepEqual(reported, ["of the page", "of the page"]);
});

test("listeners come and go, also while they are told", async () => {
  const { browser, comet } = alone();
  const told = [];
  const news = comet.subscribe("news");
  const second = () => told.push("second");
  news.on("message", () => {
    told.push("first");
    news.off("message", second);
    news.on("message", () => told.push("late"));
  });
  news.on("message", second);
  news.once("message", () => told.push("once"));
  const off = news.on("message", () => told.push("off"));
  off();
  news.off("never", second);
  assert.throws(() => news.on("message"), new TypeError("megacomet: bad listener undefined, it is a function"));
  await browser.settle();
  browser.server.publish("news", 1);
  await browser.settle();
  assert.deepEqual(told, ["first", "once"]);
  browser.server.publish("news", 2);
  await browser.settle();
  assert.deepEqual(told, ["first", "once", "first", "late"]);
});

test("what is closed has nothing any more, and its listeners of the page are gone", async () => {
  const { browser, tab, comet } = alone();
  const news = comet.subscribe("news");
  await browser.settle();
  comet.close();
  await browser.settle();
  assert.deepEqual([comet.state, news.state], ["disconnected", "unsubscribed"]);
  assert.deepEqual([comet.subscriptions.size, browser.server.sockets.size], [0, 0]);
  tab.signal("pagehide");
  tab.signal("pageshow");
  await browser.settle();
  assert.equal(browser.server.sockets.size, 0);
});

test("a page that is left may be disconnected meanwhile, and connect when it is back", async () => {
  for (const shared of [true, false]) {
    const { browser, tab, comet } = alone({ shared });
    await browser.settle();
    tab.signal("pagehide");
    comet.disconnect();
    assert.deepEqual([comet.state, tab.events.at(-1)], ["disconnected", ["disconnected", { code: 0, reason: "" }]]);
    comet.connect();
    await browser.settle();
    assert.deepEqual([comet.state, comet.transport, tab.events.at(-1)[0]], ["connected", "websocket", "connected"]);
  }
});

test("without a document nothing is shared, unless that is asked for", async () => {
  const browser = new BrowserDouble();
  for (const tab of [browser.open({ document: undefined }), browser.open({ document: undefined })]) tab.comet();
  await browser.settle();
  assert.equal(browser.server.sockets.size, 2);
});

test("a page that is hidden keeps what it remembers, for when it is taken away without a word", async () => {
  const browser = new BrowserDouble();
  const tab = browser.open();
  tab.comet({ remember: "shop" }).subscribe("news");
  await browser.settle();
  browser.server.publish("news", 1);
  await browser.settle();
  tab.document.visibilityState = "hidden";
  tab.signal("visibilitychange");
  assert.deepEqual([...tab.storage], [["megacomet shop", "e-1"]]);
});

test("what is remembered and no position is passed over", async () => {
  const browser = new BrowserDouble();
  const comet = browser.open({}, new Map([["megacomet shop", "<script>"]])).comet({ remember: "shop", since: "oldest" });
  comet.subscribe("news");
  browser.server.publish("news", 1);
  await browser.settle();
  assert.equal(comet.position, "e-1");
});

test("the version is the package's", async () => {
  const { default: { version } } = await import("../package.json", { with: { type: "json" } });
  assert.equal(VERSION, version);
});
