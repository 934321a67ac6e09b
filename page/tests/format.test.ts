import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, bytes, count, lasting, plural, service, since } from "../src/format";

test("numbers", () => {
  assert.deepEqual([0, 12345, 1_234_567, 2e9].map(count), ["0", "12,345", "1.2 M", "2.0 G"]);
  assert.deepEqual([0, 1023, 1024, 1536, 20_000_000, 2 ** 50].map(bytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "19 MiB",
    "1024 TiB",
  ]);
  assert.deepEqual([plural(1, "pair"), plural(2, "pair")], ["1 pair", "2 pairs"]);
});

test("durations have at least two of their unit", () => {
  assert.deepEqual([0.4, 1, 119, 120, 7199, 7200, 172_800].map(lasting), [
    "now",
    "1 s",
    "119 s",
    "2 min",
    "119 min",
    "2 h",
    "2 d",
  ]);
  assert.deepEqual([ago(0.2), ago(3)], ["now", "3 s ago"]);
});

test("a clock that is ahead makes no future", () => {
  const now = Date.parse("2026-11-23T02:35:15.000Z");
  assert.equal(since("2026-11-23T02:35:10.000Z", now), "5 s ago");
  assert.equal(since("2026-11-23T02:36:00.000Z", now), "now");
});

test("ports", () => {
  assert.deepEqual([service("tcp", 80), service("icmp", null)], ["tcp 80", "icmp"]);
});
