// The matrix as a graph: who may talk to whom, stacks folded where there are many services. Pure.

import type { Matrix, Party, Verdict } from "../documents";

export interface GraphNode {
  id: string;
  kind: "party" | "folded" | "stack";
  label: string;
  /** The stack that it is drawn in: of a party in a stack that is unfolded. */
  parent: string | null;
  stack: string | null;
  system: boolean;
  /** Parties that it stands for, as indices of the matrix. */
  parties: readonly number[];
}

/** `all`: every pair may talk, on every port. `part`: some pairs, or some ports. */
export type Reach = "all" | "part";

export interface GraphEdge {
  id: string;
  source: string;
  target: string;
  /** From the source to the target, and back; null where every pair is denied. */
  forth: Reach | null;
  back: Reach | null;
}

export interface Graph {
  nodes: readonly GraphNode[];
  edges: readonly GraphEdge[];
}

const partyId = (index: number, matrix: Matrix): string => `party ${matrix.parties[index]?.name ?? index}`;
const stackId = (stack: string): string => `stack ${stack}`;
/** Standalone containers of which there are many are folded like a stack. No stack's name can be empty. */
export const STANDALONE = "";
const MANY_STANDALONE = 12;

export function stackLabel(stack: string): string {
  return stack === STANDALONE ? "standalone containers" : stack;
}

/** Nodes of the parties; those of a folded stack are one. */
export function nodes(
  matrix: Matrix,
  parties: readonly number[],
  folded: (stack: string) => boolean,
): Map<string, GraphNode> {
  const found = new Map<string, GraphNode>();
  const alone = parties.filter((index) => matrix.parties[index]?.stack === null).length;
  const members = new Map<string, number[]>();
  for (const index of parties) {
    const party = matrix.parties[index] as Party;
    const stack = party.stack ?? (alone > MANY_STANDALONE ? STANDALONE : null);
    if (stack === null) {
      found.set(partyId(index, matrix), node("party", partyId(index, matrix), party.name, null, party, [index]));
      continue;
    }
    members.set(stack, [...(members.get(stack) ?? []), index]);
  }
  for (const [stack, indices] of members) {
    const first = matrix.parties[indices[0] as number] as Party;
    const id = stackId(stack);
    if (folded(stack)) {
      found.set(id, { ...node("folded", id, stackLabel(stack), null, first, indices), stack });
      continue;
    }
    found.set(id, { ...node("stack", id, stackLabel(stack), null, first, indices), stack });
    for (const index of indices) {
      const party = matrix.parties[index] as Party;
      const own = party.name.startsWith(`${stack}/`) ? party.name.slice(stack.length + 1) : party.name;
      const made = node("party", partyId(index, matrix), own, id, party, [index]);
      found.set(made.id, { ...made, stack });
    }
  }
  return found;
}

function node(
  kind: GraphNode["kind"],
  id: string,
  label: string,
  parent: string | null,
  party: Party,
  parties: readonly number[],
): GraphNode {
  return { id, kind, label, parent, stack: party.stack, system: party.system, parties };
}

/** What clients may do to servers, taken together; a party's own copies are no pair here. */
export function reach(matrix: Matrix, clients: readonly number[], servers: readonly number[]): Reach | null {
  let [some, every] = [false, true];
  for (const client of clients) {
    const row = matrix.cells[client] ?? [];
    for (const server of servers) {
      const verdict: Verdict | undefined = matrix.decisions[row[server] ?? -1]?.verdict;
      if (verdict === "allow" || verdict === "mixed") some = true;
      if (verdict !== "allow") every = false;
      if (some && !every) return "part";
    }
  }
  return some ? "all" : null;
}

/** One edge for each two nodes of which one may talk to the other. */
export function graphOf(matrix: Matrix, parties: readonly number[], folded: (stack: string) => boolean): Graph {
  const all = [...nodes(matrix, parties, folded).values()];
  const ends = all.filter((one) => one.kind !== "stack");
  const edges: GraphEdge[] = [];
  for (const [position, source] of ends.entries()) {
    for (const target of ends.slice(position + 1)) {
      const forth = reach(matrix, source.parties, target.parties);
      const back = reach(matrix, target.parties, source.parties);
      if (forth || back)
        edges.push({ id: `${source.id}|${target.id}`, source: source.id, target: target.id, forth, back });
    }
  }
  return { nodes: all, edges };
}

export interface Neighbours {
  /** Whom it may talk to. */
  to: readonly { id: string; reach: Reach }[];
  /** Who may talk to it. */
  from: readonly { id: string; reach: Reach }[];
}

export function neighbours(graph: Graph, id: string): Neighbours {
  const [to, from]: [{ id: string; reach: Reach }[], { id: string; reach: Reach }[]] = [[], []];
  for (const edge of graph.edges) {
    const [other, out, into] =
      edge.source === id ? [edge.target, edge.forth, edge.back] : [edge.source, edge.back, edge.forth];
    if (edge.source !== id && edge.target !== id) continue;
    if (out) to.push({ id: other, reach: out });
    if (into) from.push({ id: other, reach: into });
  }
  return { to, from };
}

/** A node's name with its stack. */
export function fullName(node: GraphNode): string {
  if (node.kind !== "party") return stackLabel(node.stack ?? "");
  return node.parent === null || !node.stack ? node.label : `${node.stack}/${node.label}`;
}

/** One node, all that it may talk to or be reached by, and only its own lines: among many there is no other way to see it. */
export function around(graph: Graph, id: string): Graph {
  const edges = graph.edges.filter((edge) => edge.source === id || edge.target === id);
  const near = new Set([id, ...edges.flatMap((edge) => [edge.source, edge.target])]);
  const nodes = graph.nodes
    .filter((node) => near.has(node.id) && node.kind !== "stack")
    .map((node) => ({ ...node, label: fullName(node), parent: null }));
  return { nodes, edges };
}

/** Places around one: those that only reach it at its left, the others at its right, in columns of a few. */
export function placesAround(graph: Graph, id: string, width: number, height: number): Map<string, [number, number]> {
  const { to } = neighbours(graph, id);
  const reached = new Set(to.map((end) => end.id));
  const others = graph.nodes.filter((node) => node.id !== id);
  const places = new Map<string, [number, number]>([[id, [0, 0]]]);
  const sides = [
    others.filter((node) => !reached.has(node.id)),
    others.filter((node) => reached.has(node.id)),
  ] as const;
  for (const [side, direction] of [
    [sides[0], -1],
    [sides[1], 1],
  ] as const) {
    const columns = Math.ceil(Math.sqrt((side.length * height) / (2 * width)));
    const rows = Math.ceil(side.length / Math.max(1, columns));
    for (const [position, node] of side.entries()) {
      const column = Math.floor(position / rows);
      const inColumn = Math.min(rows, side.length - column * rows);
      places.set(node.id, [
        direction * (1.7 + column) * width,
        ((position % rows) - (inColumn - 1) / 2 + (column % 2) * 0.5) * height,
      ]);
    }
  }
  return places;
}
