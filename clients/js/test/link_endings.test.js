import assert from "node:assert/strict";
import test from "node:test";
import { ALL, Linked, linkedBy, openAt } from "./doubles/linked.js";
import { message, settle, sse } from "./doubles/world.js";

const WEBSOCKET = { transports: ["websocket"] };

for (const [codes, comesBack] of [
  [[1000, 1001, 1005, 1006, 1011, 1012, 1013, 1015], true],
  [[1002, 1003, 1007, 1009], false],
  [[3000, 3001, 3004, 3005, 3008, 3010, 3011, 3012, 3013, 3499], true],
  [[3500, 3501, 3502, 3503, 3504, 3505, 3507, 3999], false],
  [[4000, 4499], true],
  [[4500, 4999], false],
]) {
  for (const code of codes) {
    test(`Close code ${code}: the client ${comesBack ? "comes back" : "does not come back"}.`, async () => {
      const world = await linkedBy("websocket", WEBSOCKET);
      world.socket.end(code, "why");
      await settle();
      assert.deepEqual([world.state.state, world.state.code, world.state.reason], [comesBack ? "connecting" : "disconnected", code, "why"]);
      await world.pass(3_600_000);
      assert.equal(world.sockets.length > 1, comesBack);
    });
  }
}

for (const transport of ["sse", "poll"]) {
  for (const [statuses, comesBack] of [
    [[204, 400, 401, 403, 404, 405, 410, 414, 431], false],
    [[402, 407, 408, 409, 421, 425, 429, 500, 502, 503, 504, 511], true],
  ]) {
    for (const status of statuses) {
      for (const isOpen of [false, true]) {
        test(`${status} to ${transport}${isOpen ? " after a while" : ""}: the client ${comesBack ? "comes back" : "does not come back"}.`, async () => {
          const world = new Linked({ transports: [transport] });
          await world.connect();
          if (isOpen) {
            await openAt(world, transport, "e-5");
            if (transport === "sse") {
              world.requests[0].end();
              await world.pass(10_000);
            }
          }
          world.request.answer(status === 204 ? null : "<html>", { status, type: "text/html" });
          await settle();
          assert.deepEqual([world.state.state, world.state.code, world.state.reason], [comesBack ? "connecting" : "disconnected", status, `is ${status}`]);
          const before = world.requests.length;
          await world.pass(3_600_000);
          assert.equal(world.requests.length > before, comesBack);
        });
      }
    }
  }
}

test("A refusal that is final ends it whatever transports are left.", async () => {
  const world = await new Linked().connect();
  world.socket.end();
  await settle();
  world.request.answer("", { status: 403 });
  await settle();
  assert.deepEqual([world.state.state, world.state.code, world.requests.length], ["disconnected", 403, 1]);
});

test("The next try comes after anything up to 0.5 s, 1 s, 2 s … 30 s, at random.", async () => {
  const jitters = [0, 0.999, 0.25, 0.5];
  let draws = 0;
  const world = new Linked(WEBSOCKET, ["news"], { random: () => jitters[draws++ % jitters.length] });
  await world.connect();
  const delays = [];
  for (let n = 0; n < 12; n++) {
    world.socket.end();
    await settle();
    const { state, delay } = world.state;
    assert.equal(state, "connecting");
    delays.push(delay);
    const tries = world.sockets.length;
    if (delay) await world.pass(delay - 1);
    assert.equal(world.sockets.length, tries);
    await world.pass(delay ? 1 : 0);
    assert.equal(world.sockets.length, tries + 1);
  }
  assert.deepEqual(delays, delays.map((_, n) => jitters[n % 4] * Math.min(30_000, 500 * 2 ** n)));
});

const isSocket = (asked) => "protocols" in asked;
const unlessSocket = (answer) => (asked) => (isSocket(asked) ? asked.end() : answer(asked));
const unlessPoll = (answer) => unlessSocket((asked) => (asked.path === "poll" ? answer(asked) : asked.fail()));

for (const [what, refuse] of [
  ["nothing is there", unlessSocket((asked) => asked.fail())],
  ["WebSockets are opened and closed", (asked) => (isSocket(asked) ? (asked.open("e-1"), asked.end()) : asked.fail())],
  ["503 without advice", unlessSocket((asked) => asked.answer("", { status: 503 }))],
  ["a captive portal has a page with 200", unlessSocket((asked) => asked.answer("<html>", { type: "text/html" }))],
  ["garbage with 200", unlessSocket((asked) => asked.answer("garbage"))],
  ["JSON that is something else", unlessSocket((asked) => asked.answer({ ok: true }))],
  ["nothing, as JSON", unlessSocket((asked) => asked.answer("null"))],
  ["streams that end at once", unlessSocket((asked) => asked.answer(sse.first("e-1"), { type: "text/event-stream" }))],
  ["polls that do not wait", unlessPoll((asked) => asked.answer({ position: "e-1", messages: [] }))],
  ["polls that bring the same again", unlessPoll((asked) => asked.answer({ position: "e-1", messages: [message("news", "e-1")] }))],
]) {
  test(`No loop without delay: ${what}.`, async () => {
    const world = new Linked();
    let tries = 0;
    world.server = (asked) => ++tries < 2000 && refuse(asked);
    await world.connect();
    await world.pass(3_600_000);
    // After the first ones every 15 s on an average, three transports at most each time.
    assert.ok(tries > 100 && tries < 1000, `${tries} tries in an hour`);
    assert.notEqual(world.state.state, "disconnected");
  });
}

test("Retry-After in seconds is a least wait, and up to half of it comes on top; no other transport is tried before.", async () => {
  const world = await new Linked({}, ["news"], { random: () => 0.5 }).connect();
  world.socket.end();
  await settle();
  world.request.answer("", { status: 503, headers: { "Retry-After": "20" } });
  await settle();
  assert.equal(world.state.delay, 25_000);
  await world.pass(24_999);
  assert.equal(world.requests.length, 1);
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test("A wait of years is no timer that browsers take for none.", async () => {
  const world = await new Linked({ transports: ["poll"] }).connect();
  world.request.answer("", { status: 503, headers: { "Retry-After": "99999999999" } });
  await settle();
  assert.ok(world.state.delay > 20 * 24 * 3_600_000);
  assert.ok(world.delays.every((ms) => ms < 2 ** 31));
});

test("Retry-After may be a date, and one that is over or no date counts for nothing.", async () => {
  for (const [date, delay] of [
    [(now) => new Date(now + 10_000).toUTCString(), 12_500],
    [(now) => new Date(now - 10_000).toUTCString(), 250],
    [() => "soon", 250],
  ]) {
    const world = await new Linked({ transports: ["sse"] }).connect();
    world.request.answer("", { status: 503, headers: { "Retry-After": date(world.time) } });
    await settle();
    assert.equal(world.state.delay, delay);
  }
});

test("The time that a stream names is a least wait, also when it brings nothing else.", async () => {
  for (const body of [sse.first("e-1", 4000), "retry: 4000\n\n"]) {
    const world = await new Linked({ transports: ["sse", "poll"] }).connect();
    world.request.answer(body, { type: "text/event-stream" });
    await settle();
    assert.equal(world.state.delay, 5000);
    assert.equal(world.requests.length, 1);
  }
});

test("retry= in the reason of a close code is a least wait.", async () => {
  const world = await linkedBy("websocket", WEBSOCKET);
  world.socket.end(3001, "shutdown retry=8");
  await settle();
  assert.deepEqual([world.state.delay, world.state.reason], [10_000, "shutdown retry=8"]);
});

test("What breaks comes back by the same transport, from its position.", async () => {
  for (const transport of ALL) {
    const world = await linkedBy(transport, { transports: ALL.slice(ALL.indexOf(transport)) });
    if (transport === "websocket") world.socket.tell(message("news", "e-6"));
    else if (transport === "sse") world.request.write(sse.message("news", "e-6", "e-6"));
    else world.request.answer({ position: "e-6", messages: [message("news", "e-6")] });
    await settle();
    if (transport === "websocket") world.socket.end();
    else world.request.fail();
    await settle();
    assert.equal(world.state.state, "connecting");
    await world.pass(3000);
    const next = transport === "websocket" ? world.socket : world.request;
    assert.equal(next.since, "e-6");
    assert.equal(next.path ?? "ws", { websocket: "ws", sse: "events", poll: "poll" }[transport]);
  }
});

test("After a connection that was worth it the pauses begin anew.", async () => {
  const world = await linkedBy("websocket", WEBSOCKET);
  for (let n = 0; n < 5; n++) {
    world.socket.end();
    await settle();
    await world.pass(world.state.delay);
  }
  world.socket.open("e-6");
  await world.pass(10_000);
  world.socket.end();
  await settle();
  assert.equal(world.state.delay, 250);
});

test("Two breaks within 10 s without a message lead to the next transport down.", async () => {
  const world = await linkedBy("websocket", { transports: ALL });
  await world.pass(9000);
  world.socket.end();
  await world.pass(1000);
  assert.equal(world.sockets.length, 2);
  world.socket.open("e-5");
  world.socket.end();
  await world.pass(1000);
  assert.deepEqual([world.sockets.length, world.request.path], [2, "events"]);
});

test("Breaks after a message, or after 10 s, leave the transport as it is.", async () => {
  const world = await linkedBy("websocket", { transports: ALL });
  for (let n = 0; n < 6; n++) {
    if (n % 2) world.socket.tell(message("news", `e-${n}`));
    else await world.pass(10_000);
    world.socket.end();
    await world.pass(1000);
    assert.equal(world.sockets.length, n + 2);
    world.socket.open("e-9");
  }
  assert.equal(world.requests.length, 0);
});

test("A server that restarts for a while is waited for by what has worked before, and later from the top.", async () => {
  const world = await new Linked().connect();
  world.socket.end();
  await settle();
  await openAt(world, "sse", "e-1");
  world.request.end();
  const tried = [];
  for (let n = 0; n < 40; n++) {
    await world.pass(1000);
    for (const socket of world.sockets) if (socket.state === "connecting") tried.push("websocket"), socket.end();
    await settle();
    for (const request of world.requests) if (!request.isOver) tried.push(request.path), request.fail();
    await settle();
    for (const request of world.requests) if (!request.isOver) tried.push(request.path), request.fail();
    await settle();
  }
  assert.deepEqual(tried.slice(0, 4), ["events", "poll", "events", "poll"]);
  assert.deepEqual(tried.slice(-3), ["websocket", "events", "poll"]);
});

test("A stream of another kind, and an answer that is none, are told as errors.", async () => {
  for (const [transport, answer] of [
    ["sse", (request) => request.answer("<html>", { type: "text/html" })],
    ["poll", (request) => request.answer("<html>", { type: "text/html" })],
    ["poll", (request) => request.answer("garbage")],
    ["poll", (request) => request.answer({ ok: true })],
  ]) {
    const world = await new Linked({ transports: [transport] }).connect();
    answer(world.request);
    await settle();
    assert.equal(world.told("error").length, 1);
    assert.equal(world.state.state, "connecting");
    assert.ok(world.state.delay > 0);
  }
});

test("A network that fails is no error to be told, but a state.", async () => {
  const world = await new Linked({ transports: ["poll"] }).connect();
  world.request.fail();
  await settle();
  assert.deepEqual(world.told("error"), []);
  assert.deepEqual([world.state.state, world.state.code, world.state.reason], ["connecting", 0, "fetch failed"]);
});

test("Garbage on an open connection is told once, and the connection goes on.", async () => {
  const world = await linkedBy("websocket");
  for (const garbage of ["", "{", "null", "[]", "1", '{"op":"position","position":7}', '{"op":"gap","position":"e-5","channels":3}', '{"op":"surprise","position":{}}', '{"op":"message"}']) {
    world.socket.say(garbage);
  }
  world.socket.tell(message("news", "e-6"));
  assert.equal(world.told("error").length, 1);
  assert.deepEqual([world.data, world.link.position], [["e-6"], "e-6"]);

  const stream = await linkedBy("sse");
  stream.request.write("id: e-6\ndata: garbage\n\nid: e-7\ndata: {\n\n" + sse.message("news", "e-8", "e-8"));
  await settle();
  assert.equal(stream.told("error").length, 1);
  assert.deepEqual(stream.data, ["e-8"]);
});

test("An error of the server that answers nothing is told with its code.", async () => {
  const world = await linkedBy("websocket");
  world.socket.tell({ op: "error", code: 107, message: "malformed" });
  assert.deepEqual(world.told("error"), [{ type: "error", code: 107, message: "malformed" }]);
});
