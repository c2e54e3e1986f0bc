// One link for many tabs: who of them hears what, and who is still there. It runs in a shared worker, or in the tab
// that leads the others, and does not know which: a tab is a name.
//
// A tab says {op}: join {channels} · subscribe, unsubscribe {channel} · publish {channel, data, key, id} ·
// wake {reason} · ask · connect · leave. It hears {op}: joined · event {event}, what the link tells · answer ·
// ok {id, message}, error {id, code, message} · here (join, it does not know you) · alone (share with nobody).
// With these comes `at`, the link's position: where a tab stands that has taken it.

import { VERSION } from "./version.js";

/** Channels of one connection, as the server has it unless it is set to something else. */
const MOST_CHANNELS = 128;

/** What the names of hubs begin with. */
export const HUB = `megacomet ${VERSION} `;

/** Whoever has the same name may share a hub. */
export function hubName({ url, client, credentials, transports }) {
  return HUB + JSON.stringify({ url, client, credentials, transports });
}

/**
 * @param {string} hub its name; each tab holds the lock "<hub> <its own name>"
 * @param {import("./page.js").Surroundings} environment
 * @param {(names: string[], body: object) => void} post
 */
export function makeHub(hub, environment, post) {
  const options = { ...JSON.parse(hub.slice(HUB.length)), environment };
  const own = ["*", `@${options.client}`]; // come with the connection
  const tabs = new Map(); // name → {channels, watch}
  let link = null;
  let state;
  let asked; // channels that the link was asked for
  let live; // those of them that it brings

  function send(names, body) {
    if (names.length) post(names, { ...body, at: link?.position });
  }

  function hearing(channel) {
    return [...tabs.keys()].filter((name) => !channel || tabs.get(name).channels.has(channel));
  }

  function tell(names, event) {
    send(names, { op: "event", event });
  }

  function told(event) {
    const { type, channel } = event;
    if (type === "unsubscribed" && !event.code) return; // by the tabs, who know
    tell(hearing(channel), event);
    if (type === "subscribed") live.add(channel);
    if (type === "unsubscribed") for (const { channels } of tabs.values()) forget(channels, channel);
    if (type !== "state") return;
    state = event;
    if (state.state === "connected") for (const channel of own) told({ type: "subscribed", channel });
  }

  // It begins now, and not where the first tab stands: that says nothing of the others.
  function begin() {
    link = new environment.Link(options, told);
    asked = new Set(own);
    live = new Set();
    state = { state: "disconnected" };
  }

  function connect() {
    if (state.state === "disconnected") link.connect();
  }

  function join(name, { channels }) {
    const tab = { channels: new Set(), watch: new AbortController() };
    if (!link) begin();
    tabs.set(name, tab);
    send([name], { op: "joined" });
    if (state.state === "connected") tell([name], state);
    for (const channel of channels) if (tabs.get(name) === tab) subscribe(name, tab, channel);
    if (tabs.get(name) !== tab) return;
    connect();
    // It is given when the tab has ended, however it did.
    environment.locks?.request(`${hub} ${name}`, { signal: tab.watch.signal }, () => drop(name)).catch(() => {});
  }

  function drop(name) {
    const tab = tabs.get(name);
    if (!tab) return;
    tabs.delete(name);
    tab.watch.abort();
    for (const channel of tab.channels) forget(tab.channels, channel);
    if (tabs.size) return;
    // What came now would count as delivered, and nobody would have it.
    const last = link;
    link = null;
    last.disconnect();
  }

  function subscribe(name, tab, channel) {
    tab.channels.add(channel);
    if (live.has(channel)) tell([name], { type: "subscribed", channel });
    else if (asked.has(channel)) return;
    else if (asked.size >= MOST_CHANNELS + own.length) {
      send([name], { op: "alone" });
      drop(name);
    } else {
      asked.add(channel);
      link.subscribe(channel);
    }
  }

  // Of a tab's channels.
  function forget(channels, channel) {
    channels.delete(channel);
    if (hearing(channel).length || own.includes(channel)) return;
    live.delete(channel);
    if (asked.delete(channel)) link.unsubscribe(channel);
  }

  async function publish(name, { id, channel, data, key }) {
    try {
      send([name], { op: "ok", id, message: await link.publish(channel, data, key) });
    } catch ({ code, message }) {
      send([name], { op: "error", id, code, message });
    }
  }

  return {
    /** What a tab says. */
    received(name, body) {
      const tab = tabs.get(name);
      const { op, channel, reason } = body;
      if (op === "join") join(name, body);
      else if (op === "leave") drop(name);
      else if (!tab) send([name], { op: "here" });
      else if (op === "subscribe") subscribe(name, tab, channel);
      else if (op === "unsubscribe") forget(tab.channels, channel);
      else if (op === "publish") publish(name, body);
      else if (op === "connect") connect();
      else {
        if (op === "wake") link.wake(reason);
        send([name], { op: "answer" });
      }
    },

    /** It is over. When another hub has taken its place the tabs join that. */
    close(isReplaced) {
      if (isReplaced) send(hearing(), { op: "here" });
      for (const name of [...tabs.keys()]) drop(name);
    },
  };
}
