import assert from "node:assert/strict";
import test from "node:test";
import { ALL, Linked, linkedBy, openAt } from "./doubles/linked.js";
import { message, settle, sse } from "./doubles/world.js";

test("A WebSocket is asked for first, with the channels, the client and the position, and counts from its first position.", async () => {
  const world = new Linked({ client: "sue", since: "e-3" }, ["news", "a b"]);
  await world.connect();
  assert.deepEqual(world.state, { type: "state", state: "connecting", transport: "", code: 0, reason: "", delay: 0 });
  const { url, protocols, channels, since } = world.socket;
  assert.equal(url.origin + url.pathname, "ws://comet.test/comet/ws");
  assert.deepEqual([protocols, channels, since, url.searchParams.get("client")], ["megacomet.v1", ["news", "a b"], "e-3", "sue"]);
  world.socket.open();
  await settle();
  assert.equal(world.state.state, "connecting");
  let at;
  world.tell = ({ state }) => (at = state ? world.link.position : at);
  world.socket.tell({ op: "position", position: "e-7" });
  assert.deepEqual([world.state.state, world.state.transport, at], ["connected", "websocket", "e-7"]);
  assert.deepEqual(world.told("subscribed").map(({ channel }) => channel), ["news", "a b"]);
});

test("Every transport tells messages, gaps and positions alike.", async () => {
  const told = {};
  for (const transport of ALL) {
    const world = await linkedBy(transport);
    if (transport === "websocket") {
      world.socket.tell({ op: "gap", channel: "news", position: "e-6" }, message("news", "e-7", { a: 1 }), { op: "position", position: "e-9" });
    } else if (transport === "sse") {
      world.requests[0].write(sse.gap(["news"], "e-6") + sse.message("news", "e-7", { a: 1 }) + sse.position("e-9"));
    } else {
      world.request.answer({ position: "e-9", messages: [{ channel: "news", id: "e-7", data: { a: 1 } }], gap: true, gaps: ["news"] });
    }
    await settle();
    assert.equal(world.link.position, "e-9");
    told[transport] = world.told("gap", "message");
  }
  assert.deepEqual(told.websocket, [
    { type: "gap", channels: ["news"], position: "e-6" },
    { type: "message", channel: "news", id: "e-7", data: { a: 1 } },
  ]);
  assert.deepEqual(told.sse, told.websocket);
  assert.deepEqual(told.poll, [{ type: "gap", channels: ["news"], position: "e-9" }, told.websocket[1]]);
});

test("A WebSocket that gives no position within 5 s is given up for events, and these for polls.", async () => {
  const world = await new Linked().connect();
  world.socket.open();
  await world.pass(4999);
  assert.equal(world.requests.length, 0);
  await world.pass(1);
  assert.equal(world.socket.state, "closed");
  assert.equal(world.request.path, "events");
  assert.equal(world.request.options.headers.Accept, "text/event-stream");
  await world.pass(5000);
  assert.ok(world.requests[0].isOver);
  assert.deepEqual([world.request.path, world.request.timeout], ["poll", "0"]);
  world.request.answer({ position: "e-1", messages: [] });
  await settle();
  assert.deepEqual([world.state.state, world.state.transport], ["connected", "poll"]);
  assert.equal(world.request.timeout, "50");
});

test("A WebSocket that fails is followed by events at once, and these by polls.", async () => {
  const world = await new Linked().connect();
  world.socket.end();
  await settle();
  world.request.fail();
  await settle();
  assert.equal(world.request.path, "poll");
  await openAt(world, "poll", "e-1");
  assert.equal(world.state.transport, "poll");
});

for (const [what, surroundings] of [
  ["there is no WebSocket", { hasWebSocket: false }],
  ["a policy forbids WebSockets", {}],
]) {
  test(`Where ${what}, events are used.`, async () => {
    const world = new Linked({}, ["news"], surroundings);
    if (surroundings.hasWebSocket !== false) {
      world.link = new (await import("../src/link.js")).Link(
        {
          url: "http://comet.test/",
          transports: ALL,
          environment: {
            ...world.environment,
            WebSocket: class {
              constructor() {
                throw new DOMException("not by this policy", "SecurityError");
              }
            },
          },
        },
        (event) => world.events.push(event),
      );
      world.link.subscribe("news");
    }
    await world.connect();
    await openAt(world, "sse", "e-1");
    assert.equal(world.state.transport, "sse");
  });
}

test("Only the transports that were asked for are used.", async () => {
  const world = new Linked({ transports: ["poll", "websocket"] });
  await world.connect();
  world.request.fail();
  await settle();
  world.socket.open("e-1");
  assert.equal(world.state.transport, "websocket");
  assert.deepEqual(world.requests.map(({ path }) => path), ["poll"]);
});

test("Requests carry credentials as it was asked for.", async () => {
  const world = await new Linked({ transports: ["sse", "poll"], credentials: "include" }).connect();
  world.request.fail();
  await settle();
  assert.deepEqual(world.requests.map(({ options }) => options.credentials), ["include", "include"]);
});

test("Who hears nothing yet waits for its first channel where there is no WebSocket.", async () => {
  const world = await new Linked({}, [], { hasWebSocket: false }).connect();
  await world.pass(120_000);
  assert.deepEqual(world.requests, []);
  world.link.subscribe("news");
  await settle();
  assert.deepEqual(world.request.channels, ["news"]);
  await openAt(world, "sse", "e-1");
  assert.equal(world.state.state, "connected");
});

test("Who hears nothing but its mailbox needs no channel.", async () => {
  const world = await linkedBy("sse", { client: "sue" }, []);
  world.request.write(sse.message("@sue", "e-6", "hi") + sse.message("*", "e-7", "all") + sse.message("@bob", "e-8", "no"));
  await settle();
  assert.deepEqual(world.data, ["hi", "all"]);
});

test("connect() twice is one connection; after disconnect() nothing is open and no timer runs.", async () => {
  for (const transport of ALL) {
    const world = await linkedBy(transport);
    world.link.connect();
    await settle();
    assert.equal(world.sockets.length + world.requests.filter(({ path }) => path === "events").length, transport === "poll" ? 0 : 1);
    world.link.disconnect();
    world.link.disconnect();
    await settle();
    assert.equal(world.timers, 0);
    assert.deepEqual([world.state.state, world.state.code, world.state.reason], ["disconnected", 0, ""]);
    assert.ok(world.requests.every(({ isOver }) => isOver) && world.sockets.every(({ state }) => state === "closed"));
    world.link.wake("online");
    await world.pass(3_600_000);
    assert.equal(world.told("state").at(-1).state, "disconnected");
  }
});

test("connect() after disconnect() goes on from the position.", async () => {
  const world = await linkedBy("websocket");
  world.socket.tell(message("news", "e-6"));
  world.link.disconnect();
  world.link.connect();
  await settle();
  assert.deepEqual([world.sockets.length, world.socket.since, world.socket.channels], [2, "e-6", ["news"]]);
});

test("A link from the oldest message on asks so until it has a position.", async () => {
  const world = await new Linked({ since: "oldest" }).connect();
  assert.deepEqual([world.link.position, world.socket.since], ["", "oldest"]);
  world.socket.open("e-2");
  assert.equal(world.link.position, "e-2");
});

test("Who disconnects when told that there is a connection is told nothing more, and nothing stays behind.", async () => {
  for (const transport of ALL) {
    const world = new Linked({ transports: [transport] });
    world.link.subscribe("sport", "e-1");
    const told = [];
    world.tell = (event) => {
      told.push(event.state ?? event.type);
      if (event.state === "connected") world.link.disconnect();
    };
    await world.connect();
    await openAt(world, transport, "e-5");
    assert.deepEqual(told, ["connecting", "connected", "disconnected"]);
    assert.equal(world.timers, 0);
  }
});

test("An older server, which knows no subprotocol, is asked without it, since browsers refuse its answer otherwise.", async () => {
  const world = await new Linked({ transports: ["websocket"] }).connect();
  const offered = [];
  for (let n = 0; n < 3; n++) {
    offered.push(world.socket.protocols);
    world.socket.end();
    await settle();
    await world.pass(world.state.delay);
  }
  assert.deepEqual(offered, ["megacomet.v1", [], "megacomet.v1"]);
  assert.deepEqual(world.socket.protocols, []);
  world.socket.open("e-5");
  await settle();
  assert.equal(world.state.state, "connected");
  world.socket.end();
  await settle();
  await world.pass(world.state.delay);
  assert.equal(world.socket.protocols, "megacomet.v1");
});
