// Tabs that share one connection, in a browser of our own: by a shared worker, and by a tab that leads the others.

import assert from "node:assert/strict";
import test from "node:test";

import { BrowserDouble } from "./doubles/browser.js";

const WORKER = {};
const LEADER = { SharedWorker: undefined };

function both(title, run) {
  test(`${title}, by a worker`, () => run(new BrowserDouble(), WORKER));
  test(`${title}, by a leader`, () => run(new BrowserDouble(), LEADER));
}

const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);

both("two tabs share one connection, and each is told what it has subscribed to", async (browser, means) => {
  const [one, two] = [browser.open(means), browser.open(means)];
  one.comet().subscribe("news");
  const comet = two.comet();
  comet.subscribe("news");
  comet.subscribe("sport");
  await browser.settle();
  browser.server.publish("news", 1);
  browser.server.publish("sport", 2);
  browser.server.publish("*", 3);
  await browser.settle();

  assert.equal(browser.server.sockets.size, 1);
  assert.deepEqual(one.told, [["news", 1], ["*", 3]]);
  assert.deepEqual(two.told, [["news", 1], ["sport", 2], ["*", 3]]);
});
