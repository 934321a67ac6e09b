import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, formatAddress, NO_FILTERS, parseAddress } from "../src/address";

test("a view with its filters survives the way through the URL", () => {
  const address: Address = {
    view: "graph",
    filters: {
      text: "a&b=c #%",
      stack: "shop",
      label: "com.example/tier=web, app",
      side: "client",
      verdicts: ["allow", "deny"],
      system: true,
    },
    client: "shop/web + shop/log",
    server: "blog/ä?b",
  };
  assert.deepEqual(parseAddress(formatAddress(address)), address);
});

test("what is at its default is not said", () => {
  assert.equal(formatAddress({ view: "matrix", filters: NO_FILTERS, client: "", server: "" }), "#/matrix");
  assert.deepEqual(parseAddress(""), { view: "matrix", filters: NO_FILTERS, client: "", server: "" });
});

test("what nobody could have chosen is left out", () => {
  const { view, filters } = parseAddress("#/nowhere?side=left&verdict=deny,maybe&system=1");
  assert.deepEqual([view, filters.side, filters.verdicts, filters.system], ["matrix", "both", ["deny"], false]);
});
