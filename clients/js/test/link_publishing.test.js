import assert from "node:assert/strict";
import test from "node:test";
import { Linked, linkedBy, openAt } from "./doubles/linked.js";
import { settle } from "./doubles/world.js";

/** @returns what has become of a publication, as [id] or [code, message]; undefined while it is open */
function outcome(publication) {
  const kept = {};
  publication.then(
    (id) => (kept.is = [id]),
    (error) => (kept.is = [error.code, error.message, error instanceof Error]),
  );
  return kept;
}

test("A publication goes by WebSocket, with its key, and is answered with the message's id.", async () => {
  const world = await linkedBy("websocket");
  const publication = outcome(world.link.publish("news", { a: 1 }, "k-1"));
  const another = outcome(world.link.publish("news", null));
  const [first, second] = world.socket.sent;
  assert.deepEqual([first.op, first.channel, first.data, first.key], ["publish", "news", { a: 1 }, "k-1"]);
  assert.deepEqual(Object.keys(second), ["op", "channel", "data", "id"]);
  world.socket.tell({ op: "ok", id: second.id, message: "e-7" }, { op: "ok", id: first.id, message: "e-6" });
  await settle();
  assert.deepEqual([publication.is, another.is], [["e-6"], ["e-7"]]);
});

test("One that is refused says why.", async () => {
  const world = await linkedBy("websocket");
  const publication = outcome(world.link.publish("news", 1));
  world.socket.tell({ op: "error", id: world.socket.sent[0].id, code: 103, message: "clients may not publish here" });
  await settle();
  assert.deepEqual(publication.is, [103, "clients may not publish here", true]);
  assert.deepEqual(world.told("error"), []);
});

test("Other transports cannot publish.", async () => {
  for (const transport of ["sse", "poll"]) {
    const world = await linkedBy(transport);
    const publication = outcome(world.link.publish("news", 1));
    await settle();
    assert.equal(publication.is[0], 108);
  }
});

test("When the connection is lost before the answer, it says that it may have been published.", async () => {
  for (const end of [(world) => world.socket.end(), (world) => world.link.disconnect()]) {
    const world = await linkedBy("websocket");
    const publication = outcome(world.link.publish("news", 1));
    end(world);
    await settle();
    assert.equal(publication.is[0], 0);
    assert.match(publication.is[1], /may have been published/);
  }
});

test("One that is made while a connection is being made waits for that.", async () => {
  const world = await new Linked().connect();
  const publication = outcome(world.link.publish("news", 1));
  world.socket.open("e-5");
  assert.equal(world.socket.sent.length, 1);
  world.socket.tell({ op: "ok", id: world.socket.sent[0].id, message: "e-6" });
  await settle();
  assert.deepEqual(publication.is, ["e-6"]);
});

test("It is refused when no connection can be made, or one that cannot publish, or none is wanted.", async () => {
  const failed = await new Linked({ transports: ["websocket"] }).connect();
  const first = outcome(failed.link.publish("news", 1));
  failed.socket.end();
  await settle();
  assert.deepEqual([first.is[0], /not published/.test(first.is[1])], [0, true]);
  const waiting = outcome(failed.link.publish("news", 1));
  await settle();
  assert.equal(waiting.is[0], 0);

  const fallen = await new Linked().connect();
  const second = outcome(fallen.link.publish("news", 1));
  fallen.socket.end();
  await settle();
  await openAt(fallen, "sse", "e-5");
  assert.equal(second.is[0], 108);

  const third = outcome(new Linked().link.publish("news", 1));
  await settle();
  assert.equal(third.is[0], 0);
});

test("Data that is no JSON is refused, and the connection goes on.", async () => {
  const world = await linkedBy("websocket");
  const publication = outcome(world.link.publish("news", 1n));
  await settle();
  assert.match(publication.is[1], /BigInt/);
  assert.equal(world.state.state, "connected");
});
