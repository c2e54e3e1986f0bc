// One link for many tabs: who of them hears what, and who is still there. It runs in a shared worker, or in the tab that
// leads the others, and does not know which: a tab is a name, and what messages to it go through.
//
// A tab says {op}: join {channels} · subscribe, unsubscribe {channel} · publish {channel, data, key, id} ·
// wake {reason} · ask · connect · leave. It hears {op}: joined {state} · event {event} · answer ·
// ok {id, message}, error {id, code, message} · here (join: it does not know you) · alone (share with nobody).
// With these comes `at`, the link's position: where a tab stands that has taken it.

import { VERSION } from "./version.js";

/** Channels of one connection, as the server has it unless it is set to something else. */
const MOST_CHANNELS = 128;

/** Whoever has the same name may share a hub. */
export function hubName({ url, client, credentials, transports }) {
  return JSON.stringify(["megacomet", VERSION, url, client, credentials, transports]);
}

/**
 * @param {string} hub its name; each tab holds the lock "<hub> <its own name>"
 * @param {import("./page.js").Surroundings} environment
 * @param {(throughs: any[], body: object) => void} post
 */
export function makeHub(hub, environment, post) {
  const [, , url, client, credentials, transports] = JSON.parse(hub);
  const tabs = new Map(); // name → {through, channels, watch}
  const asked = new Set(); // channels that the link was asked for
  const live = new Set(); // those of them that it brings
  let link = null;
  let state;

  function send(throughs, body) {
    if (throughs.length) post(throughs, { ...body, at: link?.position });
  }

  function hearing(channel) {
    const isForAll = !channel || channel === "*" || channel[0] === "@";
    return [...tabs.values()].filter(({ channels }) => isForAll || channels.has(channel)).map(({ through }) => through);
  }

  // It begins now, and not where the first tab stands: that says nothing of the others.
  function begin() {
    const mine = new environment.Link({ url, client, credentials, transports, environment }, (event) => {
      if (mine === link) told(event);
    });
    link = mine;
    state = { state: "disconnected" };
  }

  function join(name, { channels }, through) {
    if (!link) begin();
    const watch = new AbortController();
    const tab = { through, channels: new Set(), watch };
    const before = tabs.get(name);
    tabs.set(name, tab);
    send([through], { op: "joined", state });
    for (const channel of channels) if (tabs.get(name) === tab) subscribe(name, tab, channel);
    if (before) forget(before);
    if (tabs.get(name) !== tab) return;
    if (state.state === "disconnected") link.connect();
    // It is given when the tab has ended, however it did.
    environment.locks?.request(`${hub} ${name}`, { signal: watch.signal }, () => drop(name)).catch(() => {});
  }

  function drop(name) {
    const tab = tabs.get(name);
    tabs.delete(name);
    if (tab) forget(tab);
    if (tabs.size || !link) return;
    // What came now would count as delivered, and nobody would have it.
    const last = link;
    link = null;
    last.disconnect();
  }

  function forget({ channels, watch }) {
    watch.abort();
    channels.forEach(leave);
  }

  function subscribe(name, tab, channel) {
    tab.channels.add(channel);
    if (live.has(channel)) {
      send([tab.through], { op: "event", event: { type: "subscribed", channel, position: link.position } });
    } else if (!asked.has(channel)) {
      if (asked.size >= MOST_CHANNELS) {
        send([tab.through], { op: "alone" });
        return drop(name);
      }
      asked.add(channel);
      link.subscribe(channel);
    }
  }

  // Of a channel that one tab less wants.
  function leave(channel) {
    if (hearing(channel).length) return;
    live.delete(channel);
    if (asked.delete(channel)) link.unsubscribe(channel);
  }

  function publish({ through }, { id, channel, data, key }) {
    link.publish(channel, data, key).then(
      (message) => send([through], { op: "ok", id, message }),
      ({ code, message }) => send([through], { op: "error", id, code, message }),
    );
  }

  function told(event) {
    const { type, channel } = event;
    if (type === "unsubscribed" && !event.code) return; // by the tabs, who know
    if (type === "state") state = event;
    if (type === "subscribed") live.add(channel);
    send(hearing(channel), { op: "event", event });
    if (type !== "unsubscribed") return;
    for (const { channels } of tabs.values()) channels.delete(channel);
    live.delete(channel);
    asked.delete(channel);
  }

  return {
    /** What a tab says. */
    received(name, body, through) {
      const tab = tabs.get(name);
      const { op, channel } = body;
      if (op === "join") join(name, body, through);
      else if (op === "leave") drop(name);
      else if (!tab) send([through], { op: "here" });
      else if (op === "subscribe") subscribe(name, tab, channel);
      else if (op === "unsubscribe") tab.channels.delete(channel) && leave(channel);
      else if (op === "publish") publish(tab, body);
      else if (op === "connect") state.state === "disconnected" && link.connect();
      else {
        if (op === "wake") link.wake(body.reason);
        send([through], { op: "answer" });
      }
    },

    /** It is over. Another hub goes on from here, and when it has taken the place of this one the tabs join that. */
    close(isReplaced) {
      send(hearing(), { op: isReplaced ? "here" : "answer" });
      for (const name of [...tabs.keys()]) drop(name);
    },
  };
}
