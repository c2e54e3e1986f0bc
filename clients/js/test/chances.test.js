// Whatever happens to tabs, and in whatever order: what each of them was told, over all.

import assert from "node:assert/strict";
import test from "node:test";

import { BrowserDouble } from "./doubles/browser.js";

const CHANNELS = ["a", "b", "c"];
/** These come by themselves. */
const OWN = ["*", "@sue"];
const SEEDS = Number(process.env.SEEDS ?? 60);

/** Numbers from 0 to below `count`, the same ones for the same seed. */
function chances(seed) {
  let state = seed * 2654435761 + 1;
  return (count) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
    return (state >>> 8) % count;
  };
}

// Each tab that lives to the end has every message of its channels from its first one on, once and in order.
async function live(seed, means) {
  const chance = chances(seed);
  const browser = new BrowserDouble(chance);
  const tabs = [];
  const published = new Map([...CHANNELS, ...OWN].map((channel) => [channel, 0]));
  const publish = (channel) => {
    browser.server.publish(channel, published.get(channel));
    published.set(channel, published.get(channel) + 1);
  };
  const subscribe = (tab) => {
    const comet = tab.comet({ client: "sue", remember: "here" });
    for (const channel of tab.channels) comet.subscribe(channel);
    return tab;
  };
  const open = async () => {
    const tab = browser.open(means);
    tab.channels = CHANNELS.filter(() => chance(3) > 0);
    tabs.push(subscribe(tab));
  };
  // A page that is left while it catches up is told some again; so it is let come to the end of that.
  const reload = async () => {
    const n = chance(tabs.length);
    if (tabs[n].isFrozen) return;
    tabs[n].signal("resume");
    await browser.pass(40_000);
    const { told, events, channels, storage } = tabs[n];
    tabs[n].close();
    tabs[n] = subscribe(Object.assign(browser.open(means, storage), { told, events, channels }));
  };
  const drop = (tab) => tabs.splice(tabs.indexOf(tab), 1);
  const acts = [
    async () => tabs.length < 5 && open(),
    async () => tabs.length > 1 && drop(tabs[chance(tabs.length)])?.[0].close(),
    async () => tabs.length > 1 && drop(tabs[chance(tabs.length)])?.[0].die(),
    async () => tabs[chance(tabs.length)].signal("freeze"),
    async () => tabs[chance(tabs.length)].signal("resume"),
    async () => (tabs[chance(tabs.length)].isFrozen = true),
    async () => (tabs[chance(tabs.length)].isFrozen = false),
    reload,
    async () => browser.server.cut(),
    async () => browser.pass(1000 * chance(40)),
    async () => browser.settle(),
  ];
  await open();
  await browser.settle();
  for (let n = 0; n < 60; n++) {
    for (let m = chance(4); m > 0; m--) publish([...CHANNELS, ...OWN][chance(5)]);
    if (chance(3)) await browser.some(chance(12));
    else await acts[chance(acts.length)]();
  }
  for (const tab of tabs) {
    tab.isFrozen = false;
    tab.signal("resume");
  }
  await browser.pass(200_000);
  for (const channel of published.keys()) publish(channel);
  await browser.settle();
  return { tabs, published, browser };
}

function complete({ tabs, published }) {
  for (const tab of tabs) {
    for (const channel of [...tab.channels, ...OWN]) {
      const told = tab.of(channel);
      const count = published.get(channel);
      const wanted = Array.from({ length: count }, (_, n) => n).slice(told[0] ?? count - 1);
      assert.deepEqual(told, wanted, `${tab.id} on ${channel}`);
    }
    assert.deepEqual(tab.events.filter(([name]) => name === "gap"), []);
  }
}

for (const [name, means] of [["a worker", {}], ["a leader", { SharedWorker: undefined }]]) {
  test(`nothing is lost or told twice whatever happens, by ${name}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const lived = await live(seed, means);
      try {
        complete(lived);
        assert.equal(lived.browser.server.sockets.size, 1);
      } catch (error) {
        error.message = `seed ${seed}: ${error.message}`;
        throw error;
      }
    }
  });
}
