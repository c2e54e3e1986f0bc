import assert from "node:assert/strict";
import test from "node:test";
import { ToldIds } from "../src/told.js";

const ids = (from, to) => Array.from({ length: to - from }, (_, n) => `e-${from + n}`);

test("The last 2,000 ids at least are remembered, and twice as many at most.", () => {
  const told = new ToldIds();
  for (const id of ids(0, 100_000)) assert.ok(told.add(id));
  for (const id of ids(98_000, 100_000)) assert.ok(!told.add(id));
  assert.ok(told.add("e-95999"));
});

test("While it keeps all, none is forgotten, and then the first new one ends that.", () => {
  const told = new ToldIds();
  told.isKeeping = true;
  for (const id of ids(0, 50_000)) told.add(id);
  told.isKeeping = false;
  for (const id of ids(0, 50_000)) assert.ok(!told.add(id));
  for (const id of ids(50_000, 54_001)) assert.ok(told.add(id));
  assert.ok(told.add("e-0"));
});
