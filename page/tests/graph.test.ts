import assert from "node:assert/strict";
import { test } from "node:test";
import { around, graphOf, neighbours, placesAround } from "../src/graph/elements";
import { EXAMPLE, party } from "./example";

const APPLICATIONS = [0, 1, 3, 4];
const lines = (folded: boolean) =>
  graphOf(EXAMPLE, APPLICATIONS, () => folded).edges.map(({ id, forth, back }) => [id, forth, back]);

test("denied pairs have no line, and a line has a direction", () => {
  assert.deepEqual(lines(false), [
    ["party lonely|party shop/db", "part", null],
    ["party shop/web|party shop/db", "all", "all"],
  ]);
});

test("a folded stack stands for its services", () => {
  const graph = graphOf(EXAMPLE, APPLICATIONS, () => true);
  assert.deepEqual(
    graph.nodes.map((node) => [node.id, node.kind, node.parties.length]),
    [
      ["party lonely", "party", 1],
      ["stack shop", "folded", 2],
      ["stack blog", "folded", 1],
    ],
  );
  assert.deepEqual(lines(true), [["party lonely|stack shop", "part", null]]);
});

test("services are drawn in their stack, by their own name", () => {
  const { nodes } = graphOf(EXAMPLE, APPLICATIONS, (stack) => stack === "blog");
  const web = nodes.find((node) => node.id === "party shop/web");
  assert.deepEqual([web?.parent, web?.label], ["stack shop", "web"]);
  assert.equal(
    nodes.find((node) => node.id === "party blog/app"),
    undefined,
  );
});

test("many standalone containers are folded together", () => {
  const parties = Array.from({ length: 20 }, (_, index) => party(`c${index}`));
  const cells = parties.map(() => parties.map(() => 0));
  const { nodes } = graphOf({ ...EXAMPLE, parties, cells }, [...parties.keys()], () => true);
  assert.deepEqual(
    nodes.map((node) => node.label),
    ["standalone containers"],
  );
});

test("neighbours are told by direction", () => {
  const graph = graphOf(EXAMPLE, APPLICATIONS, () => false);
  assert.deepEqual(neighbours(graph, "party shop/db"), {
    to: [{ id: "party shop/web", reach: "all" }],
    from: [
      { id: "party lonely", reach: "part" },
      { id: "party shop/web", reach: "all" },
    ],
  });
});

test("around one are those that it has to do with, by their full names, and only its own lines", () => {
  const graph = graphOf(EXAMPLE, APPLICATIONS, () => false);
  const near = around(graph, "party shop/db");
  assert.deepEqual(
    near.nodes.map((node) => [node.label, node.parent]),
    [
      ["lonely", null],
      ["shop/web", null],
      ["shop/db", null],
    ],
  );
  assert.equal(near.edges.length, 2);
  assert.deepEqual(around(graph, "party lonely").edges, near.edges.slice(0, 1));
});

test("those that only reach it are at its left, and nobody is on another's place", () => {
  const near = around(
    graphOf(EXAMPLE, APPLICATIONS, () => false),
    "party shop/db",
  );
  const places = placesAround(near, "party shop/db", 100, 50);
  assert.deepEqual(
    [...places].map(([id, [x]]) => [id, Math.sign(x)]),
    [
      ["party shop/db", 0],
      ["party lonely", -1],
      ["party shop/web", 1],
    ],
  );
  const ids = Array.from({ length: 61 }, (_, number) => `party ${number}`);
  const nodes = ids.map((id) => ({ ...(near.nodes[0] as (typeof near.nodes)[number]), id }));
  const edges = ids
    .slice(1)
    .map((target) => ({ id: target, source: "party 0", target, forth: "all", back: null }) as const);
  const many = [...placesAround({ nodes, edges }, "party 0", 100, 50).values()];
  assert.equal(new Set(many.map(String)).size, 61);
});
