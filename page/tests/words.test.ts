import assert from "node:assert/strict";
import { test } from "node:test";
import { askedPort, cellSentence, known } from "../src/matrix/words";
import { splitReason } from "../src/reasons";
import { EXAMPLE } from "./example";

test("a cell in words names the pair, the verdict and the reason", () => {
  const [deny, allow, mixed] = EXAMPLE.decisions;
  assert.equal(cellSentence("a", "b", allow, null), "a to b: allow by somebody");
  assert.equal(cellSentence("a", "b", deny, "AUDIT"), "a to b: AUDIT, passes: deny by somebody");
  const said = "a to b: tcp 80 allow by somebody; any other deny by somebody";
  assert.equal(cellSentence("a", "b", mixed, null), said);
  assert.equal(cellSentence("a", "b", undefined, null), "a to b: not known");
});

test("a verdict of a newer agent is none that the page pretends to know", () => {
  assert.deepEqual(["allow", "mixed", "quarantine", "toString", undefined].map(known), [
    "allow",
    "mixed",
    "not judged",
    "not judged",
    "not judged",
  ]);
});

test("the agent is asked about a port of the decision", () => {
  const asked = ["tcp 80", "udp 53-60, tcp 1", "8000", "any", "any other"].map(askedPort);
  assert.deepEqual(asked, ["80/tcp", "53/udp", "8000", null, null]);
});

test("a reason and its remedy", () => {
  assert.deepEqual(splitReason("it is broken; mend it"), ["it is broken", "Mend it."]);
  assert.deepEqual(splitReason("it is broken"), ["it is broken", ""]);
});
