// The view "graph": the picture, and the same in words beside it, which the keyboard reaches.

import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { matrix } from "../api";
import type { Matrix } from "../documents";
import { FilterBar } from "../filterbar";
import { plural } from "../format";
import { matches, ordered } from "../matrix/select";
import { Empty, Shown } from "../parts";
import { address, adjust, dark, filters } from "../store";
import type { Picture } from "./canvas";
import { around, fullName, type Graph, type GraphNode, graphOf, neighbours, type Reach } from "./elements";

/** More parties than this, and stacks start folded. */
const MANY = 40;
/** More lines than this are a tangle that takes long to draw: only those of the chosen one are shown, then. */
const MANY_LINES = 2500;

/** Among more nodes than this the chosen one is shown alone with those that it has to do with. */
const MANY_NODES = 24;

/** Stacks that somebody has folded or unfolded by hand. */
const byHand = signal<ReadonlyMap<string, boolean>>(new Map());

export function GraphView() {
  return <Shown of={matrix}>{(document) => <Drawn matrix={document} />}</Shown>;
}

function partiesShown(matrix: Matrix, asked: typeof filters.value): number[] {
  return ordered(matrix.parties).filter((index) => {
    const party = matrix.parties[index];
    return party !== undefined && (asked.system || !party.system) && matches(party, asked);
  });
}

function Drawn({ matrix }: { matrix: Matrix }) {
  const asked = filters.value;
  const hand = byHand.value;
  const parties = useMemo(() => partiesShown(matrix, asked), [matrix, asked]);
  const folded = (stack: string): boolean => hand.get(stack) ?? parties.length > MANY;
  const graph = useMemo(() => graphOf(matrix, parties, folded), [matrix, parties, hand]);
  const chosen = graph.nodes.find((node) => node.id === address.value.client) ?? null;
  const choose = (id: string | null): void => adjust({ client: id ?? "", server: "" });
  const fold = (stack: string | null, to: boolean): void => {
    if (stack !== null) byHand.value = new Map(hand).set(stack, to);
  };
  const foldAll = (to: boolean): void => {
    byHand.value = new Map(graph.nodes.flatMap((node) => (node.kind === "party" ? [] : [[node.stack ?? "", to]])));
  };
  const tangled = graph.edges.length > MANY_LINES;
  const centre = chosen && chosen.kind !== "stack" && graph.nodes.length > MANY_NODES ? chosen.id : null;
  const drawn = useMemo(() => {
    if (centre !== null) return around(graph, centre);
    return tangled ? { ...graph, edges: [] } : graph;
  }, [graph, tangled, centre]);
  const stacks = graph.nodes.filter((node) => node.kind !== "party");
  return (
    <>
      <FilterBar matrix={matrix} sides={false} />
      <div class="above">
        <ul class="legend quiet" aria-label="Legend">
          <li>
            <span class="stroke" aria-hidden="true" /> may talk, in the arrow's direction
          </li>
          <li>
            <span class="stroke stroke-part" aria-hidden="true" /> only on some ports, or some of them
          </li>
          <li>denied pairs have no line</li>
        </ul>
        {stacks.length > 0 && (
          <span class="graph-folds">
            <button type="button" class="plain" onClick={() => foldAll(false)}>
              Unfold all stacks
            </button>
            <button type="button" class="plain" onClick={() => foldAll(true)}>
              Fold all
            </button>
          </span>
        )}
        <p class="quiet extent" role="status">
          {plural(parties.length, "service")}, {plural(graph.edges.length, "line")}
          {centre !== null
            ? ": those of the chosen one are shown"
            : tangled && ": too many to draw, choose one to see its own"}
        </p>
      </div>
      <div class="split">
        {parties.length === 0 ? (
          <Empty>Nothing is left by these filters.</Empty>
        ) : (
          <div class="graph-frame">
            <Canvas
              graph={drawn}
              centre={centre}
              chosen={chosen?.id ?? null}
              choose={choose}
              unfold={(id) => unfold(graph, id, fold)}
            />
          </div>
        )}
        <Side graph={graph} chosen={chosen} choose={choose} fold={fold} />
      </div>
    </>
  );
}

function unfold(graph: Graph, id: string, fold: (stack: string | null, to: boolean) => void): void {
  const node = graph.nodes.find((one) => one.id === id);
  if (node && node.kind !== "party") fold(node.stack, node.kind === "stack");
}

interface CanvasProps {
  graph: Graph;
  /** The one that the graph is about, if it is about one. */
  centre: string | null;
  chosen: string | null;
  choose: (id: string | null) => void;
  unfold: (id: string) => void;
}

function Canvas({ graph, centre, chosen, choose, unfold }: CanvasProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [picture, setPicture] = useState<Picture | null>(null);
  const [trouble, setTrouble] = useState("");
  // The picture lives longer than the functions that it was given.
  const calls = useRef({ choose, unfold });
  calls.current = { choose, unfold };

  useEffect(() => {
    let made: Picture | null = null;
    let gone = false;
    import("./canvas")
      .then((module) => {
        if (gone || !frame.current) return;
        made = new module.Picture(
          frame.current,
          (id) => calls.current.choose(id),
          (id) => calls.current.unfold(id),
        );
        setPicture(made);
      })
      .catch((error: unknown) => setTrouble(String(error)));
    return () => {
      gone = true;
      made?.close();
    };
  }, []);
  useEffect(() => picture?.paint(), [picture, dark.value]);
  useEffect(() => {
    picture?.show(graph, centre);
  }, [picture, graph, centre]);
  useEffect(() => picture?.select(chosen), [picture, graph, chosen]);

  return (
    <>
      {/* The list beside it says the same. */}
      <div
        ref={frame}
        class="graph __________cytoscape_container"
        role="img"
        aria-label="Who may talk to whom, as a graph; the list beside it says the same"
        data-ready={picture !== null}
      />
      {trouble && <p class="trouble">The picture can not be shown: {trouble}</p>}
      <div class="graph-tools">
        <button type="button" aria-label="Zoom in" title="Zoom in" onClick={() => picture?.zoom(1.3)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" title="Zoom out" onClick={() => picture?.zoom(1 / 1.3)}>
          −
        </button>
        <button type="button" aria-label="Show all" title="Show all" onClick={() => picture?.fit()}>
          ⤢
        </button>
      </div>
    </>
  );
}

interface SideProps {
  graph: Graph;
  chosen: GraphNode | null;
  choose: (id: string | null) => void;
  fold: (stack: string | null, to: boolean) => void;
}

function Side({ graph, chosen, choose, fold }: SideProps) {
  const byId = useMemo(() => new Map(graph.nodes.map((node) => [node.id, node])), [graph]);
  const place = useRef<HTMLElement>(null);
  const chosenBefore = useRef(chosen?.id);
  // The button that was pressed is gone with the list that it was in: the next Tab goes on from here.
  useEffect(() => {
    if (chosenBefore.current !== chosen?.id && document.activeElement === document.body) {
      place.current?.focus({ preventScroll: true });
      if (place.current) place.current.scrollTop = 0;
    }
    chosenBefore.current = chosen?.id;
  }, [chosen?.id]);
  if (chosen === null) {
    return (
      <aside ref={place} tabIndex={-1} class="readout" aria-label="What is in the graph">
        <p class="quiet">Choose one to see whom it may talk to. A double click folds and unfolds a stack.</p>
        <NodeList nodes={graph.nodes} choose={choose} />
      </aside>
    );
  }
  const near = neighbours(graph, chosen.id);
  const kin = graph.nodes.filter((node) => node.parent === chosen.id);
  return (
    <aside ref={place} tabIndex={-1} class="readout" aria-label="What is chosen in the graph">
      <div class="readout-head">
        <h2>{fullName(chosen)}</h2>
        <button type="button" class="plain" onClick={() => choose(null)}>
          Show all
        </button>
      </div>
      {chosen.kind !== "party" && (
        <p>
          {plural(chosen.parties.length, "service")}{" "}
          <button type="button" class="plain" onClick={() => fold(chosen.stack, chosen.kind === "stack")}>
            {chosen.kind === "stack" ? "Fold" : "Unfold"}
          </button>
        </p>
      )}
      {kin.length > 0 && <NodeList nodes={kin} choose={choose} />}
      {chosen.kind !== "stack" && (
        <>
          <Ends title="May talk to" ends={near.to} byId={byId} choose={choose} />
          <Ends title="May be reached by" ends={near.from} byId={byId} choose={choose} />
        </>
      )}
    </aside>
  );
}

function NodeList({ nodes, choose }: { nodes: readonly GraphNode[]; choose: (id: string) => void }) {
  return (
    <ul class="node-list">
      {nodes.map((node) => (
        <li key={node.id} class={node.parent === null ? "" : "inner"}>
          <button type="button" class="plain" onClick={() => choose(node.id)}>
            {node.label}
          </button>
          {node.kind !== "party" && <span class="quiet"> {node.parties.length}</span>}
        </li>
      ))}
    </ul>
  );
}

interface EndsProps {
  title: string;
  ends: readonly { id: string; reach: Reach }[];
  byId: ReadonlyMap<string, GraphNode>;
  choose: (id: string) => void;
}

function Ends({ title, ends, byId, choose }: EndsProps) {
  return (
    <section>
      <h3>
        {title} <span class="quiet">{ends.length}</span>
      </h3>
      {ends.length === 0 ? (
        <p class="quiet">none of these</p>
      ) : (
        <ul class="node-list">
          {ends.map(({ id, reach }) => {
            const node = byId.get(id);
            return (
              node && (
                <li key={id}>
                  <button type="button" class="plain" onClick={() => choose(id)}>
                    {fullName(node)}
                  </button>
                  {reach === "part" && <span class="quiet"> in part</span>}
                </li>
              )
            );
          })}
        </ul>
      )}
    </section>
  );
}
