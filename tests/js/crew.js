// A page of the clients' matrix: clients of the library that listen, and what they show, for whoever asks.
// Runs before the library and the clocks that are made faster: its own timers are real ones.

(() => {
  const { setTimeout, clearTimeout } = globalThis;
  /** Name -> {comet, shown, last}: `shown` since it was asked for last; `last`: channel -> the highest number. */
  const clients = new Map();
  let changed = () => {};

  // A page that misbehaves is told of.
  const faults = [];
  addEventListener("error", ({ message }) => faults.push(message));
  addEventListener("unhandledrejection", ({ reason }) => faults.push(String(reason?.stack ?? reason)));

  function listen(name, options, feed) {
    const id = name.split("-")[0];
    const comet = new MegaComet(undefined, { ...options, client: id });
    const client = { comet, shown: [], last: {}, told: [] };
    clients.set(name, client);
    const hear = (subscription, channel) => {
      subscription.on("message", ({ data, id }) => {
        const number = data.number ?? data;
        client.shown.push([channel, number, id]);
        client.last[channel] = number;
        changed();
      });
      subscription.on("gap", () => client.shown.push([channel]));
    };
    hear(comet.subscribe(feed), feed);
    hear(comet.mailbox, `@${id}`);
    for (const event of ["connecting", "connected", "disconnected", "error"]) {
      comet.on(event, (what) => {
        client.told.push([event, what]);
        changed();
      });
    }
  }

  /** Resolves when `missing` returns "", or with what it returns after so many ms. */
  async function until(missing, ms) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, ms, true)));
    let words;
    while ((words = missing())) {
      if (await Promise.race([late, new Promise((resolve) => (changed = resolve))])) break;
    }
    clearTimeout(timer);
    return words;
  }

  const words = (client) => `${client.comet.state} ${client.comet.transport} ${JSON.stringify(client.told.slice(-4))}`;

  globalThis.crew = {
    clients,
    listen,
    until,
    faults,
    /** Waits until clients have shown numbers: name -> channel -> number. */
    shown: (last, ms) =>
      until(() => {
        const missing = [];
        for (const [name, channels] of Object.entries(last)) {
          const client = clients.get(name);
          for (const [channel, number] of Object.entries(channels)) {
            const at = client.last[channel] ?? -1;
            if (at < number) missing.push(`${name}: ${channel} ${at} of ${number}, ${words(client)}`);
          }
        }
        return missing.join("; ");
      }, ms),
    /** Waits until a client is connected by a transport. */
    transport: (name, transport, ms) =>
      until(() => {
        const client = clients.get(name);
        const is = client.comet.state === "connected" && client.comet.transport === transport;
        return is ? "" : `${name} is not by ${transport}: ${words(client)}`;
      }, ms),
    take: () =>
      [...clients].map(([name, client]) => {
        const { shown } = client;
        client.shown = [];
        return [name, shown];
      }),
  };
})();
