import assert from "node:assert/strict";
import { test } from "node:test";
import { cellSize, moved, revealed, visible } from "../src/matrix/geometry";

test("cells fill the room, within what can be seen and hit", () => {
  assert.deepEqual([cellSize(5, 1000), cellSize(40, 1000), cellSize(500, 1000), cellSize(0, 0)], [38, 25, 12, 12]);
});

test("only what the window shows is drawn", () => {
  assert.deepEqual(visible(0, 100, 12, 500), { first: 0, end: 9 });
  assert.deepEqual(visible(30, 100, 10, 500), { first: 3, end: 13 });
  assert.deepEqual(visible(4950, 100, 10, 500), { first: 495, end: 500 });
  assert.deepEqual(visible(0, 0, 10, 0), { first: 0, end: 0 });
});

test("keys stay inside", () => {
  const from = { row: 1, column: 1 };
  const to = (key: string, control = false) => moved(from, key, control, 3, 4, 10);
  assert.deepEqual(to("ArrowUp"), { row: 0, column: 1 });
  assert.deepEqual(to("ArrowDown", true), { row: 2, column: 1 });
  assert.deepEqual(to("ArrowRight"), { row: 1, column: 2 });
  assert.deepEqual(to("End"), { row: 1, column: 3 });
  assert.deepEqual(to("Home", true), { row: 0, column: 0 });
  assert.deepEqual(to("PageDown"), { row: 2, column: 1 });
  assert.equal(to("a"), undefined);
  assert.deepEqual(moved({ row: 0, column: 0 }, "ArrowLeft", false, 1, 1, 1), { row: 0, column: 0 });
});

test("the window moves just far enough", () => {
  assert.deepEqual([revealed(0, 100, 50, 10), revealed(0, 100, 95, 10), revealed(200, 100, 50, 10)], [0, 5, 50]);
});
