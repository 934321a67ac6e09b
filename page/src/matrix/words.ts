// A cell of the matrix in words.

import type { Decision, Verdict } from "../documents";

export const VERDICT_WORDS: Record<Verdict, string> = {
  allow: "allowed",
  deny: "denied",
  mixed: "depends",
  "not judged": "not judged",
};

/** One sentence for people who hear the page. In audit mode nothing is dropped, and the page must not say that it is. */
export function cellSentence(client: string, server: string, decision: Decision | undefined, audit: boolean): string {
  const pair = `${client} to ${server}`;
  if (!decision) return `${pair}: not known`;
  const parts = decision.ports.map((port) => {
    const ports = decision.ports.length === 1 ? "" : `${port.ports} `;
    const partly = port.partly ? " for some of the endpoints" : "";
    return `${audit && port.verdict === "deny" ? "AUDIT, passes: " : ""}${ports}${port.sentence}${partly}`;
  });
  return `${pair}: ${parts.join("; ")}`;
}

/** The first port of "tcp 80, udp 53-60" as the agent is asked for it; none for "any" and "any other". */
export function askedPort(ports: string): string | null {
  const found = /^(?:(tcp|udp) )?(\d+)/.exec(ports);
  return found ? `${found[2]}${found[1] ? `/${found[1]}` : ""}` : null;
}
