import assert from "node:assert/strict";
import test from "node:test";
import { ALL, Linked, linkedBy, openAt } from "./doubles/linked.js";
import { message, settle, sse } from "./doubles/world.js";

const MINUTE = 60_000;

/** Pings of an open stream, so that it does not count as dead. */
async function pingedFor(world, ms, stream) {
  for (let at = 0; at < ms; at += 20_000) {
    await world.pass(Math.min(20_000, ms - at));
    stream.write(sse.position("e-5"));
  }
  await settle();
}

async function fallenToEvents(options = {}) {
  const world = await new Linked(options).connect();
  world.socket.end();
  await settle();
  await openAt(world, "sse", "e-5");
  return world;
}

test("A better transport is tried after a minute, then after 2, 4, 8 and each 10.", async () => {
  const world = await fallenToEvents();
  const [stream] = world.requests;
  const begun = world.time;
  const tried = [];
  world.server = (asked) => {
    tried.push((world.time - begun) / MINUTE);
    asked.end();
  };
  await pingedFor(world, 40 * MINUTE, stream);
  assert.deepEqual(tried, [1, 3, 7, 15, 25, 35]);
  assert.deepEqual(world.told("state").map(({ state }) => state), ["connecting", "connected"]);
});

test("However often the lower one breaks meanwhile, a better one is tried when it is time.", async () => {
  const world = await fallenToEvents();
  const begun = world.time;
  const tried = [];
  for (let n = 0; n < 24; n++) {
    const tries = world.sockets.length;
    const stream = world.open("events");
    await pingedFor(world, 20_000, stream);
    if (world.sockets.length > tries) {
      tried.push(Math.floor((world.time - begun) / MINUTE));
      world.socket.end();
      await settle();
    }
    stream.end();
    await settle();
    await world.pass(world.state.delay);
    await openAt(world, "sse", "e-5");
  }
  assert.deepEqual(tried, [1, 3, 7]);
});

test("It takes over with its first position; what both bring is told once, in order.", async () => {
  const world = await fallenToEvents();
  const [stream] = world.requests;
  await pingedFor(world, MINUTE, stream);
  assert.deepEqual([world.sockets.length, world.socket.since, world.socket.channels], [2, "e-5", ["news"]]);
  world.socket.open();
  stream.write(sse.message("news", "e-6", 6) + sse.message("news", "e-7", 7));
  await settle();
  world.socket.tell({ op: "position", position: "e-5" });
  assert.ok(stream.isOver);
  stream.write(sse.message("news", "e-8", 8));
  world.socket.tell(message("news", "e-6", 6), message("news", "e-7", 7), message("news", "e-8", 8));
  await settle();
  assert.deepEqual(world.data, [6, 7, 8]);
  assert.deepEqual([world.state.state, world.state.transport, world.link.position], ["connected", "websocket", "e-8"]);
  await world.pass(1);
  assert.equal(world.timers, 1);
});

test("A gap is told once: what is tried from before it, and would tell of it too, is tried again from behind it.", async () => {
  const world = await fallenToEvents();
  const [stream] = world.requests;
  await pingedFor(world, MINUTE, stream);
  const early = world.socket;
  stream.write(sse.gap(["news"], "f-3"));
  await settle();
  assert.deepEqual([world.sockets.length, early.state, world.socket.since], [3, "closed", "f-3"]);
  early.tell({ op: "position", position: "e-5" }, { op: "gap", channel: "news", position: "f-3" });
  world.socket.open("f-3");
  world.socket.tell(message("news", "f-4", 4));
  assert.deepEqual(world.told("gap"), [{ type: "gap", channels: ["news"], position: "f-3" }]);
  assert.deepEqual([stream.isOver, world.data, world.link.position], [true, [4], "f-4"]);
});

test("However much came by the one before the other took over, all of it is known.", async () => {
  const world = await fallenToEvents();
  const [stream] = world.requests;
  await pingedFor(world, MINUTE, stream);
  const numbers = Array.from({ length: 12_000 }, (_, n) => n + 6);
  world.socket.open();
  stream.write(numbers.map((n) => sse.message("news", `e-${n}`, n)).join(""));
  await settle();
  world.socket.tell({ op: "position", position: "e-5" });
  for (const n of [...numbers, 12_006]) world.socket.tell(message("news", `e-${n}`, n));
  assert.deepEqual(world.data, [...numbers, 12_006]);
});

test("A transport that was left because it broke twice is tried after a minute, and when it does so again, later.", async () => {
  const world = await linkedBy("websocket", { transports: ALL });
  const minutes = [];
  for (let n = 0; n < 4; n++) {
    for (let breaks = n ? 1 : 2; breaks; breaks--) {
      world.socket.end();
      await settle();
      assert.ok(world.state.delay <= 1000);
      await world.pass(world.state.delay);
      if (breaks > 1) world.socket.open("e-5");
    }
    await openAt(world, "sse", "e-5");
    const stream = world.open("events");
    const [begun, tries] = [world.time, world.sockets.length];
    while (world.sockets.length === tries) await pingedFor(world, 1000, stream);
    minutes.push(Math.round((world.time - begun) / MINUTE));
    world.socket.open("e-5");
    if (n < 3) {
      world.socket.end();
      await settle();
      await world.pass(world.state.delay);
      world.socket.open("e-5");
    }
  }
  assert.deepEqual(minutes, [1, 2, 4, 8]);
});

test("A try that fails leaves all as it is.", async () => {
  const world = await fallenToEvents();
  await pingedFor(world, MINUTE, world.requests[0]);
  world.socket.open();
  await world.pass(5000);
  assert.equal(world.socket.state, "closed");
  world.requests[0].write(sse.message("news", "e-6", 6));
  await settle();
  assert.deepEqual([world.data, world.state.transport], [[6], "sse"]);
});

test("From polls both better ones are tried, the best one first; a refusal of these ends nothing.", async () => {
  const world = await new Linked().connect();
  world.socket.end();
  await settle();
  world.request.fail();
  await settle();
  await openAt(world, "poll", "e-1");
  const poll = world.open("poll");
  await world.pass(40_000);
  poll.answer({ position: "e-2", messages: [] });
  await world.pass(20_000);
  world.socket.end(3503, "cut off");
  await settle();
  world.request.answer("", { status: 403 });
  await settle();
  assert.deepEqual([world.state.state, world.state.transport], ["connected", "poll"]);
  await world.pass(40_000);
  world.open("poll").answer({ position: "e-2", messages: [] });
  await world.pass(40_000);
  world.open("poll").answer({ position: "e-2", messages: [] });
  await world.pass(40_000);
  world.socket.end();
  await settle();
  world.open("events").begin(sse.first("e-2"));
  await settle();
  assert.deepEqual([world.state.state, world.state.transport], ["connected", "sse"]);
});

for (const reason of ["online", "network"]) {
  test(`wake("${reason}") tries better ones at once, and else whether this one is alive.`, async () => {
    const world = await fallenToEvents();
    world.link.wake(reason);
    await settle();
    assert.equal(world.sockets.length, 2);
    world.socket.end();
    await settle();
    assert.equal(world.open("events"), world.requests[1]);
    await openAt(world, "sse", "e-5");
    assert.ok(world.requests[0].isOver);
    assert.equal(world.state.transport, "sse");
    world.link.wake(reason);
    await settle();
    world.socket.open("e-5");
    assert.equal(world.state.transport, "websocket");
  });
}

test("What does not open anew on another network is broken.", async () => {
  for (const transport of ["sse", "poll"]) {
    const world = await linkedBy(transport);
    world.link.wake("network");
    await settle();
    assert.equal(world.requests.filter(({ isOver }) => !isOver).length, 2);
    world.request.fail();
    await settle();
    assert.equal(world.state.state, "connecting");
    assert.ok(world.requests.every(({ isOver }) => isOver));
  }
});

test("wake() asks a WebSocket whether it is alive, and takes it for broken after 5 s.", async () => {
  for (const reason of ["visible", "online", "network", "resume"]) {
    const world = await linkedBy("websocket");
    world.link.wake(reason);
    assert.deepEqual(world.socket.sent, [{ op: "ping", id: 0 }]);
    world.socket.tell({ op: "ok", id: 0, position: "e-6" });
    await world.pass(30_000);
    assert.deepEqual([world.sockets.length, world.link.position], [1, "e-6"]);
    world.link.wake(reason);
    await world.pass(4999);
    assert.equal(world.state.state, "connected");
    await world.pass(1);
    assert.deepEqual([world.state.state, world.state.code, world.state.reason], ["connecting", 0, "no answer"]);
  }
});

test("wake(\"visible\") asks a stream that was heard of lately nothing, and opens one that was silent anew.", async () => {
  const world = await linkedBy("sse");
  await world.pass(29_000);
  world.link.wake("visible");
  await settle();
  assert.equal(world.requests.length, 1);
  await world.pass(1000);
  world.link.wake("visible");
  world.link.wake("visible");
  await settle();
  assert.equal(world.requests.length, 2);
  await openAt(world, "sse", "e-5");
  assert.ok(world.requests[0].isOver);
});

test("wake() cuts a pause short, but not what the server has asked for.", async () => {
  const world = await linkedBy("websocket");
  world.socket.end();
  await settle();
  world.link.wake("visible");
  assert.equal(world.sockets.length, 2);
  world.socket.end(3013, "retry=60");
  await settle();
  for (const reason of ["visible", "online"]) world.link.wake(reason);
  await settle();
  assert.equal(world.sockets.length, 2);
  await world.pass(60_000);
  world.link.wake("visible");
  assert.equal(world.sockets.length, 3);
  world.link.wake("visible");
  assert.equal(world.sockets.length, 3);
});

test("After wake(\"online\") the next tries begin with the best transport.", async () => {
  const world = await fallenToEvents();
  world.requests[0].end();
  await world.pass(1000);
  world.link.wake("online");
  await world.pass(2000);
  assert.equal(world.sockets.length, 2);
});

test("A WebSocket or a stream that says nothing for 60 s is dead, and a poll after 65 s.", async () => {
  for (const [transport, ms] of [["websocket", 60_000], ["sse", 60_000], ["poll", 65_000]]) {
    const world = await linkedBy(transport);
    await world.pass(ms - 1);
    assert.equal(world.state.state, "connected", transport);
    await world.pass(1);
    assert.deepEqual([world.state.state, world.state.reason], ["connecting", "no answer"], transport);
  }
});

test("Pings with a position keep a connection alive for a day.", async () => {
  const world = await linkedBy("websocket");
  for (let n = 0; n < 3456; n++) {
    await world.pass(25_000);
    world.socket.tell({ op: "position", position: `e-${n}` });
  }
  assert.deepEqual([world.sockets.length, world.socket.sent, world.timers], [1, [], 1]);
});

test("A server that tells no position with its pings is asked, and lives by its answers.", async () => {
  const world = await linkedBy("websocket");
  for (let n = 0; n < 10; n++) {
    await world.pass(30_000);
    assert.deepEqual(world.socket.sent, Array(n + 1).fill({ op: "ping", id: 0 }));
    world.socket.tell({ op: "error", id: 0, code: 104, message: "unknown op" });
  }
  assert.equal(world.sockets.length, 1);
});

test("A machine that has slept for an hour asks first whether its connection is alive.", async () => {
  const world = await linkedBy("websocket");
  world.sleep(3_600_000);
  await world.pass(1);
  assert.equal(world.state.state, "connected");
  assert.deepEqual(world.socket.sent, [{ op: "ping", id: 0 }]);
  world.socket.tell({ op: "ok", id: 0, position: "e-6" });
  await world.pass(20_000);
  assert.equal(world.sockets.length, 1);

  world.sleep(3_600_000);
  await world.pass(5001);
  assert.equal(world.state.state, "connecting");
});

test("A stream that has slept is opened anew, from its position.", async () => {
  for (const transport of ["sse", "poll"]) {
    const world = await linkedBy(transport);
    world.sleep(3_600_000);
    await world.pass(1);
    assert.equal(world.request.since, "e-5");
    const opened = world.requests.length;
    await openAt(world, transport, "e-6");
    assert.equal(world.requests.filter(({ isOver }) => !isOver).length, 1);
    await world.pass(20_000);
    assert.equal(world.requests.length, transport === "sse" ? opened : opened + 1);
  }
});

test("In a hidden tab, whose timers come once a minute, what is alive stays, and what is dead is noticed.", async () => {
  for (const transport of ["websocket", "sse", "poll"]) {
    const world = await linkedBy(transport);
    world.grain = MINUTE;
    const [stream] = world.requests;
    const opened = () => world.sockets.length + world.requests.filter(({ path }) => path === "events").length;
    for (let n = 0; n < 40; n++) {
      await world.pass(25_000);
      if (transport === "websocket") world.socket.tell({ op: "position", position: "e-5" });
      else if (transport === "sse") stream.write(sse.position("e-5"));
      else for (const poll of world.requests) if (!poll.isOver) poll.answer({ position: "e-5", messages: [] });
    }
    assert.equal(world.told("state").filter(({ state }) => state === "connecting").length, 1, transport);
    assert.equal(opened(), transport === "poll" ? 0 : 1);
    await world.pass(4 * MINUTE);
    assert.ok(world.told("state").some(({ state }) => state === "connecting"), transport);
  }
});

test("A clock that is set back or forth breaks nothing.", async () => {
  const world = await linkedBy("websocket");
  for (const jump of [-3_600_000, 7_200_000, -7_200_000]) {
    world.sleep(jump);
    for (let n = 0; n < 4; n++) {
      await world.pass(1000);
      world.socket.tell({ op: "position", position: "e-6" });
    }
  }
  assert.equal(world.sockets.length, 1);
});
