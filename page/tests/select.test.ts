import assert from "node:assert/strict";
import { test } from "node:test";
import { type Filters, NO_FILTERS } from "../src/address";
import { carries, choices, ordered, select } from "../src/matrix/select";
import { EXAMPLE, party } from "./example";

const names = (indices: readonly number[]): string[] => indices.map((index) => EXAMPLE.parties[index]?.name ?? "");
const chosen = (filters: Partial<Filters>): [string[], string[]] => {
  const { clients, servers } = select(EXAMPLE, { ...NO_FILTERS, ...filters });
  return [names(clients), names(servers)];
};

test("stack by stack, then standalone containers, then the system", () => {
  assert.deepEqual(names(ordered(EXAMPLE.parties)), ["blog/app", "shop/db", "shop/web", "lonely", "dns/dns"]);
  const numbered = [party("s/a-10"), party("s/a-9")];
  assert.deepEqual(ordered(numbered), [1, 0]);
});

test("system services are hidden unless they are asked for, and counted", () => {
  assert.equal(select(EXAMPLE, NO_FILTERS).hidden, 1);
  assert.equal(select(EXAMPLE, NO_FILTERS).clients.length, 4);
  assert.equal(select(EXAMPLE, { ...NO_FILTERS, system: true }).clients.length, 5);
});

test("stack, label and name restrict the side that they are about", () => {
  assert.deepEqual(chosen({ stack: "shop" }), [
    ["shop/db", "shop/web"],
    ["shop/db", "shop/web"],
  ]);
  assert.deepEqual(chosen({ stack: "shop", side: "client" })[1].length, 4);
  assert.deepEqual(chosen({ label: "tier=web", side: "server" })[1], ["blog/app", "shop/web"]);
  assert.deepEqual(chosen({ text: "WEB" })[0], ["shop/web"]);
  assert.deepEqual(chosen({ text: "nothing" }), [[], []]);
});

test("a verdict leaves only rows and columns that have it", () => {
  assert.deepEqual(chosen({ verdicts: ["mixed"] }), [["lonely"], ["shop/db"]]);
  const { counts } = select(EXAMPLE, { ...NO_FILTERS, verdicts: ["mixed"] });
  assert.deepEqual(counts, { allow: 5, deny: 10, mixed: 1, "not judged": 0 });
});

test("labels match by key, or by key and value, and know nothing of prototypes", () => {
  const web = EXAMPLE.parties[1] as ReturnType<typeof party>;
  assert.deepEqual(
    ["env", "env=b", "env=c", "toString", "__proto__"].map((label) => carries(web, label)),
    [true, true, false, false, false],
  );
  assert.deepEqual(choices(EXAMPLE.parties), {
    stacks: ["blog", "dns", "shop"],
    labels: ["env=a", "env=b", "tier=db", "tier=web"],
  });
});
