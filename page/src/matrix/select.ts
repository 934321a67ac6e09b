// Which clients and servers of the matrix a set of filters leaves. Pure: indices in, indices out.

import type { Filters } from "../address";
import type { Matrix, Party, Verdict } from "../documents";
import { known } from "./words";

export interface Selection {
  /** Indices of parties, in the order that is shown. */
  clients: readonly number[];
  servers: readonly number[];
  /** How many pairs have each verdict, before the filter by verdict. */
  counts: Readonly<Record<Verdict, number>>;
  /** How many parties are hidden for being system services. */
  hidden: number;
}

const byName = new Intl.Collator("en", { numeric: true });

/** Stack by stack, standalone containers after them, system services last. */
export function ordered(parties: readonly Party[]): number[] {
  return parties
    .map((_, index) => index)
    .sort((one, other) => {
      const [a, b] = [parties[one] as Party, parties[other] as Party];
      return (
        Number(a.system) - Number(b.system) ||
        Number(a.stack === null) - Number(b.stack === null) ||
        byName.compare(a.stack ?? "", b.stack ?? "") ||
        byName.compare(a.name, b.name)
      );
    });
}

export function carries(party: Party, label: string): boolean {
  const [key = "", value] = label.split(/=(.*)/s);
  const values = Object.hasOwn(party.labels, key) ? party.labels[key] : undefined;
  return values !== undefined && (value === undefined || values.includes(value));
}

export function matches(party: Party, filters: Filters): boolean {
  return (
    (!filters.stack || party.stack === filters.stack) &&
    (!filters.label || carries(party, filters.label)) &&
    (!filters.text || party.name.toLowerCase().includes(filters.text.toLowerCase()))
  );
}

export function verdictAt(matrix: Matrix, client: number, server: number): Verdict {
  return known(matrix.decisions[matrix.cells[client]?.[server] ?? -1]?.verdict);
}

export function select(matrix: Matrix, filters: Filters): Selection {
  const all = ordered(matrix.parties);
  const shown = filters.system ? all : all.filter((index) => !matrix.parties[index]?.system);
  const chosen = shown.filter((index) => matches(matrix.parties[index] as Party, filters));
  const clients = filters.side === "server" ? shown : chosen;
  const servers = filters.side === "client" ? shown : chosen;
  const verdicts = matrix.decisions.map((decision) => known(decision.verdict));
  const counts: Record<Verdict, number> = { allow: 0, deny: 0, mixed: 0, "not judged": 0 };
  const wanted = new Set(filters.verdicts);
  const [keptClients, keptServers] = [new Set<number>(), new Set<number>()];
  for (const client of clients) {
    const row = matrix.cells[client] ?? [];
    for (const server of servers) {
      const verdict = verdicts[row[server] ?? -1] ?? "not judged";
      counts[verdict] += 1;
      if (wanted.has(verdict)) {
        keptClients.add(client);
        keptServers.add(server);
      }
    }
  }
  const hidden = all.length - shown.length;
  if (wanted.size === 0) return { clients, servers, counts, hidden };
  return {
    clients: clients.filter((index) => keptClients.has(index)),
    servers: servers.filter((index) => keptServers.has(index)),
    counts,
    hidden,
  };
}

/** All stacks, and all labels as `key=value`, sorted. */
export function choices(parties: readonly Party[]): { stacks: string[]; labels: string[] } {
  const stacks = new Set<string>();
  const labels = new Set<string>();
  for (const party of parties) {
    if (party.stack !== null) stacks.add(party.stack);
    for (const [key, values] of Object.entries(party.labels)) for (const value of values) labels.add(`${key}=${value}`);
  }
  return { stacks: [...stacks].sort(byName.compare), labels: [...labels].sort(byName.compare) };
}
