// An EventSource client of somebody else, in Node.js: node client.mjs PACKAGE URL
// Each event that it dispatches is a line of JSON on stdout. It ends when its stdin does.

const TYPES = ["message", "position", "gap"];
const [name, url] = process.argv.slice(2);

function say(type, id, data) {
  process.stdout.write(JSON.stringify({ type, id, data }) + "\n");
}

function listen(source) {
  for (const type of TYPES) {
    source.addEventListener(type, (event) => say(type, event.lastEventId, event.data));
  }
}

const CLIENTS = {
  async eventsource() {
    const { EventSource } = await import("eventsource");
    listen(new EventSource(url));
  },

  async "event-source-polyfill"() {
    const { EventSourcePolyfill } = (await import("event-source-polyfill")).default;
    listen(new EventSourcePolyfill(url));
  },

  async "@microsoft/fetch-event-source"() {
    // It is made for browsers: of the page it wants the timers, and to know whether it is seen.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const { fetchEventSource } = await import("@microsoft/fetch-event-source");
    await fetchEventSource(url, {
      openWhenHidden: true,
      // It also shows events without data, which the standard does not dispatch; none of ours is one.
      onmessage: (event) => say(event.event || "message", event.id, event.data),
      // As its documentation wants it of those who come back after an orderly end, too.
      onclose: () => {
        throw new Error("the stream ended");
      },
    });
  },
};

process.stdin.on("end", () => process.exit(0)).resume();
await CLIENTS[name]();
