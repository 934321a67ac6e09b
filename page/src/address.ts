// What is shown, as the part of the URL after "#": a view and its filters, so that it can be shared.

import type { Verdict } from "./documents";

export const VIEWS = ["matrix", "graph", "rules", "containers", "live", "status"] as const;
export type View = (typeof VIEWS)[number];

export const VERDICTS: readonly Verdict[] = ["allow", "mixed", "deny", "not judged"];
export type Side = "both" | "client" | "server";

export interface Filters {
  /** Part of a name. */
  text: string;
  stack: string;
  /** `key=value`, or a key alone. */
  label: string;
  /** Whom stack, label and text are about. */
  side: Side;
  /** None means any. */
  verdicts: readonly Verdict[];
  /** Whether system services are shown. */
  system: boolean;
}

export interface Address {
  view: View;
  filters: Filters;
  /** The pair that is held on to in the matrix, or the party in the graph. */
  client: string;
  server: string;
}

export const NO_FILTERS: Filters = { text: "", stack: "", label: "", side: "both", verdicts: [], system: false };

export function parseAddress(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const asked = new URLSearchParams(query);
  const side = asked.get("side");
  const verdicts = (asked.get("verdict") ?? "").split(",");
  return {
    view: VIEWS.find((view) => view === path) ?? "matrix",
    filters: {
      text: asked.get("text") ?? "",
      stack: asked.get("stack") ?? "",
      label: asked.get("label") ?? "",
      side: side === "client" || side === "server" ? side : "both",
      verdicts: VERDICTS.filter((verdict) => verdicts.includes(verdict)),
      system: asked.get("system") === "yes",
    },
    client: asked.get("client") ?? "",
    server: asked.get("server") ?? "",
  };
}

/** The shortest hash that means this: what is at its default is left out. */
export function formatAddress({ view, filters, client, server }: Address): string {
  const said = new URLSearchParams();
  if (filters.text) said.set("text", filters.text);
  if (filters.stack) said.set("stack", filters.stack);
  if (filters.label) said.set("label", filters.label);
  if (filters.side !== "both") said.set("side", filters.side);
  if (filters.verdicts.length) said.set("verdict", filters.verdicts.join(","));
  if (filters.system) said.set("system", "yes");
  if (client) said.set("client", client);
  if (server) said.set("server", server);
  const query = said.toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}
