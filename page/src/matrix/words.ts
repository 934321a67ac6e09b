// A cell of the matrix in words.

import type { Decision, Verdict } from "../documents";

export const VERDICT_WORDS: Record<Verdict, string> = {
  allow: "allowed",
  deny: "denied",
  mixed: "depends",
  "not judged": "not judged",
};

/** A newer agent may have more of them: they are painted as not judged, and told in the agent's words. */
export function known(verdict: string | undefined): Verdict {
  return verdict !== undefined && Object.hasOwn(VERDICT_WORDS, verdict) ? (verdict as Verdict) : "not judged";
}

/**
 * One sentence for people who hear the page. In the modes "audit" and "off" nothing is dropped, and the page must not
 * say that it is: `passing` is the word for that.
 */
export function cellSentence(
  client: string,
  server: string,
  decision: Decision | undefined,
  passing: string | null,
): string {
  const pair = `${client} to ${server}`;
  if (!decision) return `${pair}: not known`;
  const parts = decision.ports.map((port) => {
    const ports = decision.ports.length === 1 ? "" : `${port.ports} `;
    const partly = port.partly ? " for some of the endpoints" : "";
    return `${passing !== null && port.verdict === "deny" ? `${passing}, passes: ` : ""}${ports}${port.sentence}${partly}`;
  });
  return `${pair}: ${parts.join("; ")}`;
}

/** The first port of "tcp 80, udp 53-60" as the agent is asked for it; none for "any" and "any other". */
export function askedPort(ports: string): string | null {
  const found = /^(?:(tcp|udp) )?(\d+)/.exec(ports);
  return found ? `${found[2]}${found[1] ? `/${found[1]}` : ""}` : null;
}
