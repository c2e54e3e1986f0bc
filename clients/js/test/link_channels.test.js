import assert from "node:assert/strict";
import test from "node:test";
import { Linked, linkedBy, openAt } from "./doubles/linked.js";
import { message, settle, sse } from "./doubles/world.js";

const page = (position, ...messages) => ({ position, messages, gap: false });
const at = (channel, n) => ({ channel, id: `e-${n}`, data: n });

test("By WebSocket a channel is subscribed to, and left, by a request each.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("sport");
  world.link.subscribe("sport");
  world.socket.tell(message("sport", "e-6"));
  const [{ id, ...asked }] = world.socket.sent;
  assert.deepEqual(asked, { op: "subscribe", channels: ["sport"] });
  assert.deepEqual(world.told("subscribed").map(({ channel }) => channel), ["news"]);
  world.socket.tell({ op: "ok", id, position: "e-7" }, message("sport", "e-8"));
  assert.deepEqual(world.told("subscribed"), [{ type: "subscribed", channel: "sport", position: "e-6" }]);
  world.link.unsubscribe("sport");
  world.link.unsubscribe("sport");
  world.socket.tell(message("sport", "e-9"));
  assert.deepEqual(world.told("unsubscribed"), [{ type: "unsubscribed", channel: "sport", code: 0, reason: "" }]);
  assert.deepEqual(world.socket.sent.slice(1), [{ op: "unsubscribe", channels: ["sport"] }]);
  assert.deepEqual(world.data, ["e-8"]);
});

for (const transport of ["sse", "poll"]) {
  test(`By ${transport} all changes of one turn make one request, beside the old one, with the position.`, async () => {
    const world = await linkedBy(transport);
    const old = world.request;
    const before = world.requests.length;
    for (const channel of ["a", "b", "c"]) world.link.subscribe(channel);
    world.link.unsubscribe("b");
    await settle();
    assert.equal(world.requests.length, before + 1);
    assert.deepEqual([world.request.channels, world.request.since], [["news", "a", "c"], "e-5"]);
    assert.ok(!old.isOver);
    world.told("subscribed");
    await openAt(world, transport, "e-6");
    assert.ok(old.isOver);
    assert.deepEqual(world.told("subscribed").map(({ channel }) => channel), ["a", "c"]);
    world.link.unsubscribe("a");
    await settle();
    assert.deepEqual(world.open(transport === "sse" ? "events" : "poll").channels, ["news", "c"]);
  });
}

test("A channel that is left and taken again in one turn is subscribed to.", async () => {
  for (const transport of ["websocket", "sse", "poll"]) {
    const world = await linkedBy(transport);
    world.told("subscribed");
    world.link.unsubscribe("news");
    world.link.subscribe("news");
    await settle();
    if (transport === "websocket") world.socket.tell({ op: "ok", id: world.socket.sent.at(-1).id, position: "e-6" });
    else await openAt(world, transport, "e-6");
    assert.equal(world.told("subscribed").length, 1, transport);
  }
});

test("By WebSocket the answer to a subscription that was given up says nothing of the next one.", async () => {
  const world = await linkedBy("websocket");
  world.told("subscribed");
  world.link.subscribe("sport");
  world.link.unsubscribe("sport");
  world.link.subscribe("sport", "e-1");
  const [first, , second] = world.socket.sent;
  world.socket.tell({ op: "ok", id: first.id, position: "e-5" });
  await settle();
  assert.deepEqual([world.told("subscribed"), world.requests], [[], []]);
  world.socket.tell({ op: "ok", id: second.id, position: "e-6" });
  await settle();
  assert.deepEqual([world.told("subscribed").length, world.requests.length], [1, 1]);
});

test("Changes while a better transport is tried are in what takes over.", async () => {
  const world = await new Linked().connect();
  world.socket.end();
  await settle();
  await openAt(world, "sse", "e-5");
  world.link.wake("online");
  await settle();
  const first = world.socket;
  world.link.subscribe("sport");
  await settle();
  assert.equal(first.state, "closed");
  assert.deepEqual(world.socket.channels, ["news", "sport"]);
  world.socket.open("e-5");
  assert.deepEqual(world.told("subscribed").map(({ channel }) => channel), ["news", "sport"]);
  assert.deepEqual(world.socket.sent, []);
});

test("A channel that is subscribed to while there is no connection is in the next one.", async () => {
  const world = await linkedBy("websocket");
  world.socket.end();
  await settle();
  world.link.subscribe("sport");
  await world.pass(1000);
  assert.deepEqual([world.socket.channels, world.socket.since], [["news", "sport"], "e-5"]);
});

test("What the server refuses by WebSocket is told, and not tried again.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("secret");
  world.socket.tell({ op: "error", id: world.socket.sent[0].id, code: 103, message: "not for you" });
  assert.deepEqual(world.told("unsubscribed"), [{ type: "unsubscribed", channel: "secret", code: 103, reason: "not for you" }]);
  world.socket.end();
  await world.pass(1000);
  assert.deepEqual(world.socket.channels, ["news"]);
});

for (const code of [100, 111]) {
  test(`A subscription that fails with ${code} for the moment is asked for again, by another connection.`, async () => {
    const world = await linkedBy("websocket");
    world.link.subscribe("sport");
    world.socket.tell({ op: "error", id: world.socket.sent[0].id, code, message: "the manager is away" });
    assert.deepEqual([world.state.state, world.state.reason], ["connecting", "the manager is away"]);
    await world.pass(1000);
    assert.deepEqual(world.socket.channels, ["news", "sport"]);
  });
}

test("New channels that streams and polls are refused for are told so, and the others go on.", async () => {
  for (const transport of ["sse", "poll"]) {
    const world = await linkedBy(transport);
    const old = world.request;
    world.link.subscribe("secret");
    await settle();
    world.request.answer("", { status: 403 });
    await settle();
    assert.deepEqual(world.told("unsubscribed"), [{ type: "unsubscribed", channel: "secret", code: 403, reason: "is 403" }]);
    assert.deepEqual([world.state.state, old.isOver], ["connected", false]);
  }
});

test("A subscription with a position fetches page by page what was missed; what comes meanwhile waits.", async () => {
  for (const transport of ["websocket", "sse", "poll"]) {
    const world = await linkedBy(transport);
    const live = (...messages) => {
      if (transport === "websocket") world.socket.tell(...messages.map((each) => ({ op: "message", ...each })));
      else if (transport === "sse") world.requests.find(({ path, isOver }) => path === "events" && !isOver).write(messages.map(({ channel, id, data }) => sse.message(channel, id, data)).join(""));
      else world.requests.find(({ timeout, isOver }) => timeout === "50" && !isOver).answer(page(messages.at(-1).id, ...messages));
      return settle();
    };
    world.link.subscribe("sport", "e-1");
    await settle();
    if (transport === "websocket") world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
    else await openAt(world, transport, "e-5");
    await settle();
    const fetched = () => world.requests.findLast(({ url }) => url.searchParams.get("limit"));
    const { url } = fetched();
    assert.equal(url.search, "?since=e-1&timeout=0&limit=1000&channel=sport");
    await live(at("sport", 6), at("news", 7));
    assert.deepEqual(world.data, [7], transport);
    assert.equal(world.link.position, "e-5");
    fetched().answer({ ...page("e-3", at("sport", 2), at("*", 3)), gaps: ["sport"], gap: true });
    await settle();
    assert.equal(fetched().since, "e-3");
    fetched().answer(page("e-6", at("sport", 4), at("sport", 6)));
    await settle();
    await live(at("sport", 8));
    assert.deepEqual(world.data, [7, 2, 4, 6, 8]);
    assert.deepEqual(world.told("gap"), [{ type: "gap", channels: ["sport"], position: "e-3" }]);
    assert.equal(world.link.position, "e-8");
    assert.equal(world.requests.filter(({ url }) => url.searchParams.get("limit")).length, 2);
  }
});

test("What waited is told behind what was missed, each once.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("sport", "e-1");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  for (const n of [6, 7, 8]) world.socket.tell(message("sport", `e-${n}`, n));
  world.request.answer(page("e-6", at("sport", 2), at("sport", 6)));
  await settle();
  assert.deepEqual(world.data, [2, 6, 7, 8]);
  assert.equal(world.requests.length, 1);
});

test("A server that says the same whatever is asked is not asked for ever.", async () => {
  const world = await linkedBy("websocket");
  let asked = 0;
  world.server = (request) => ++asked < 100 && request.answer(page("e-3", at("sport", 2), at("sport", 3)));
  world.link.subscribe("sport", "e-1");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  assert.deepEqual([asked, world.data], [2, [2, 3]]);
});

test("What is missed is asked for again after failures, with pauses, and goes on when the connection breaks.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("sport", "e-1");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  world.request.answer(page("e-2", at("sport", 2)));
  await settle();
  world.request.fail();
  await settle();
  assert.equal(world.requests.length, 2);
  await world.pass(250);
  assert.deepEqual([world.requests.length, world.request.since], [3, "e-2"]);
  world.request.answer("", { status: 503, headers: { "Retry-After": "4" } });
  await world.pass(4999);
  assert.equal(world.requests.length, 3);
  await world.pass(1);
  assert.equal(world.requests.length, 4);

  world.socket.tell(message("sport", "e-6", 6));
  world.socket.end();
  await settle();
  assert.ok(world.request.isOver);
  await world.pass(1000);
  assert.equal(world.socket.since, "e-6");
  world.socket.open("e-6");
  await settle();
  assert.deepEqual([world.requests.length, world.request.since], [5, "e-2"]);
  world.request.answer(page("e-6", at("sport", 6)));
  await settle();
  world.request.answer(page("e-6"));
  await settle();
  assert.deepEqual(world.data, [2, 6]);
  assert.equal(world.told("subscribed").length, 2);
});

test("Where nobody answers what is asked for of the past, that is told as a gap, and what waited follows.", async () => {
  const world = await linkedBy("websocket");
  world.server = () => {};
  world.link.subscribe("sport", "e-1");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  world.socket.tell(message("sport", "e-6", 6));
  const ping = () => world.socket.tell({ op: "position", position: "e-6" });
  for (let minutes = 0; minutes < 6; minutes += 0.5) {
    ping();
    await world.pass(30_000);
  }
  assert.ok(world.requests.every(({ isOver }) => isOver));
  assert.deepEqual(world.told("gap"), [{ type: "gap", channels: ["sport"], position: "e-1" }]);
  assert.deepEqual([world.data, world.state.state], [[6], "connected"]);
});

test("What was missed and may not be asked for is told as refused.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("sport", "rubbish");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  world.request.answer("", { status: 400 });
  await settle();
  assert.deepEqual(world.told("unsubscribed"), [{ type: "unsubscribed", channel: "sport", code: 400, reason: "is 400" }]);
  assert.equal(world.state.state, "connected");
});

test("A position that the connection begins from needs no fetching, another one does.", async () => {
  const world = new Linked({ since: "e-3" }, []);
  world.link.subscribe("news", "e-3");
  world.link.subscribe("old", "oldest");
  await world.connect();
  assert.deepEqual(world.socket.channels, ["news", "old"]);
  world.socket.open("e-3");
  await settle();
  assert.deepEqual(world.requests.map(({ channels, since }) => [channels, since]), [[["old"], "oldest"]]);
});

test("A channel that is left while it catches up tells nothing more.", async () => {
  const world = await linkedBy("websocket");
  world.link.subscribe("sport", "e-1");
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
  await settle();
  world.socket.tell(message("sport", "e-6"));
  world.link.unsubscribe("sport");
  await settle();
  assert.ok(world.request.isOver);
  world.socket.tell(message("news", "e-7"));
  assert.deepEqual([world.data, world.link.position], [["e-7"], "e-7"]);
});

for (const [last, how, told] of [[2, "what was missed", [2]], [7, "what waited behind it", [2, 3, 6, 7]]]) {
  test(`A channel that is left by whoever is told ${how} tells nothing more.`, async () => {
    const world = await linkedBy("websocket");
    world.tell = ({ type, id }) => type === "message" && id === `e-${last}` && world.link.unsubscribe("sport");
    world.link.subscribe("sport", "e-1");
    world.socket.tell({ op: "ok", id: world.socket.sent[0].id, position: "e-5" });
    await settle();
    world.socket.tell(message("sport", "e-6", 6), message("sport", "e-7", 7), message("sport", "e-8", 8));
    world.request.answer(page("e-6", at("sport", 2), at("sport", 3), at("sport", 6)));
    await settle();
    assert.deepEqual(world.data, told);
  });
}

test("Gaps are told of what is subscribed to, and of everyone's channel and the mailbox.", async () => {
  const world = await linkedBy("websocket", { client: "sue" });
  for (const channel of ["sport", "@bob", "news", "*", "@sue"]) world.socket.tell({ op: "gap", channel, position: "e-6" });
  assert.deepEqual(world.told("gap").map(({ channels }) => channels), [["news"], ["*"], ["@sue"]]);
  assert.equal(world.link.position, "e-6");
});

test("Positions are told when they change, and messages move them without that.", async () => {
  const world = await linkedBy("websocket");
  assert.deepEqual(world.told("position"), [{ type: "position", position: "e-5" }]);
  world.socket.tell({ op: "position", position: "e-5" }, message("news", "e-6"), { op: "position", position: "e-6" }, { op: "position", position: "e-9" });
  assert.deepEqual(world.told("position"), [{ type: "position", position: "e-9" }]);
});

test("The position that counts is the last one, not the largest.", async () => {
  const world = await linkedBy("websocket", { client: "sue" });
  world.socket.tell(message("@sue", "e-2"));
  assert.equal(world.link.position, "e-2");
  world.socket.tell({ op: "position", position: "e-5" });
  assert.equal(world.link.position, "e-5");
});

test("What has no id or no data is no message, and what has no position changes none.", async () => {
  const world = await linkedBy("websocket");
  world.socket.tell({ op: "message", channel: "news" }, { op: "message", channel: "news", id: "e-6" });
  world.socket.tell({ op: "position" }, { op: "position", position: "" }, { op: "position", position: 7 });
  await settle();
  assert.deepEqual([world.told("message"), world.link.position], [[], "e-5"]);
  assert.deepEqual(world.told("error").map(({ message }) => message), ["a message without id or data"]);
  world.socket.tell({ op: "message", channel: "news", id: "e-6", data: null });
  await settle();
  assert.deepEqual([world.data, world.link.position], [[null], "e-6"]);
});
