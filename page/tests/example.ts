// A small matrix: rows are clients.

import type { Matrix, Party, PortDecision, Verdict } from "../src/documents";

export function party(name: string, labels: Party["labels"] = {}, system = false): Party {
  const stack = name.includes("/") ? (name.split("/")[0] ?? null) : null;
  return { name, stack, system, endpoints: 1, local_endpoints: 1, labels };
}

function port(ports: string, verdict: Verdict): PortDecision {
  return { ports, verdict, decided_by: "default", rule: null, sentence: `${verdict} by somebody`, partly: false };
}

export const EXAMPLE: Matrix = {
  policy: "0123456789ab",
  rules: [],
  default: "deny",
  parties: [
    party("lonely"),
    party("shop/web", { tier: ["web"], env: ["a", "b"] }),
    party("dns/dns", {}, true),
    party("blog/app", { tier: ["web"] }),
    party("shop/db", { tier: ["db"] }),
  ],
  decisions: [
    { verdict: "deny", ports: [port("any", "deny")] },
    { verdict: "allow", ports: [port("any", "allow")] },
    { verdict: "mixed", ports: [port("tcp 80", "allow"), port("any other", "deny")] },
  ],
  cells: [
    [0, 0, 1, 0, 2],
    [0, 1, 1, 0, 1],
    [1, 1, 1, 1, 1],
    [0, 0, 1, 1, 0],
    [0, 1, 1, 0, 1],
  ],
};
