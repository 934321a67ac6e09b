// The picture of a graph. A module of its own, loaded when somebody looks: the library is most of the page's size.

import cytoscape, { type Core, type ElementDefinition, type NodeSingular, type StylesheetJson } from "cytoscape";
import fcose from "cytoscape-fcose";
import { type Graph, type GraphEdge, type GraphNode, placesAround } from "./elements";

cytoscape.use(fcose);

// The library adds a style element unless there is one of this name; the content security policy forbids that one.
// Its only rule is in the page's style sheet.
const STYLE_ELEMENT = "__________cytoscape_stylesheet";

export class Picture {
  readonly #core: Core;
  readonly #container: HTMLElement;
  #centre: string | null = null;
  /** Where everything was before one was shown alone. */
  #home: ReadonlyMap<string, { x: number; y: number }> = new Map();

  constructor(container: HTMLElement, select: (id: string | null) => void, unfold: (id: string) => void) {
    if (!document.getElementById(STYLE_ELEMENT)) {
      const stand = document.createElement("meta");
      stand.id = STYLE_ELEMENT;
      document.head.append(stand);
    }
    this.#container = container;
    this.#core = cytoscape({
      container,
      minZoom: 0.08,
      maxZoom: 2.5,
      boxSelectionEnabled: false,
      autounselectify: true,
      pixelRatio: "auto",
    });
    this.#core.on("tap", (event) => select(event.target === this.#core ? null : idOf(event.target)));
    this.#core.on("dbltap", "node", (event) => unfold(event.target.id()));
    this.#core.on("mouseover", "node", (event) => this.#core.batch(() => this.#light(event.target.id(), "hovered")));
    this.#core.on("mouseout", "node", () => this.#core.batch(() => this.#dull("hovered")));
  }

  /** Shows this graph instead of what was there; what stays keeps its place. With a centre it is about that node. */
  show(graph: Graph, centre: string | null): void {
    const core = this.#core;
    if (this.#centre === null) this.#home = this.#places();
    // Nodes lose and get their boxes then.
    if (centre !== this.#centre) core.elements().remove();
    this.#centre = centre;
    const known = new Set(core.nodes().map((node) => node.id()));
    const wanted = new Map(
      [...graph.nodes.map(nodeElement), ...graph.edges.map(edgeElement)].map((e) => [e.data.id, e]),
    );
    // No batch here: edges that are added in one keep the bounds that they have before they are laid out, and stay unseen.
    core
      .elements()
      .filter((element) => !wanted.has(element.id()))
      .remove();
    const fresh: ElementDefinition[] = [];
    for (const element of wanted.values()) {
      const there = core.getElementById(element.data.id);
      if (there.empty()) fresh.push(element);
      else there.data(element.data).classes(`${element.classes ?? ""}${there.hasClass("faint") ? " faint" : ""}`);
    }
    core.add(fresh);
    if (graph.nodes.some((node) => !known.has(node.id)) || known.size !== graph.nodes.length) {
      if (centre === null) this.#arrange(graph, this.#home);
      else this.#surround(graph, centre);
    }
  }

  #places(): Map<string, { x: number; y: number }> {
    return new Map(this.#core.nodes().map((node) => [node.id(), { ...node.position() }]));
  }

  #surround(graph: Graph, centre: string): void {
    const width = Math.max(...this.#core.nodes().map((node) => node.outerWidth())) + 30;
    for (const [id, [x, y]] of placesAround(graph, centre, width, 52)) {
      this.#core.getElementById(id).position({ x, y });
    }
    this.#core.fit(undefined, 24);
    this.#shrink();
  }

  /** Holds on to a node, and dims what it has nothing to do with. */
  select(id: string | null): void {
    this.#core.batch(() => {
      this.#dull("chosen");
      this.#dull("held");
      this.#core.elements().removeClass("dim");
      if (id === null || this.#core.getElementById(id).empty()) return;
      const near = this.#light(id, "chosen");
      this.#core.getElementById(id).addClass("held");
      this.#core.elements().difference(near.union(near.parent()).union(near.children())).addClass("dim");
    });
  }

  fit(): void {
    this.#core.animate({ fit: { eles: this.#core.elements(), padding: 24 }, duration: still() ? 0 : 200 });
  }

  zoom(factor: number): void {
    const middle = { x: this.#core.width() / 2, y: this.#core.height() / 2 };
    this.#core.zoom({ level: this.#core.zoom() * factor, renderedPosition: middle });
  }

  /** The colours, from the page's style sheet. */
  paint(): void {
    this.#core.style(sheet(this.#container));
  }

  close(): void {
    this.#core.destroy();
  }

  /** As many columns as make a block of the frame's shape. */
  #columns(): number {
    const core = this.#core;
    const boxes = core.nodes().map((node) => ({ width: node.outerWidth() + 26, height: node.outerHeight() + 26 }));
    const width = Math.max(...boxes.map((box) => box.width));
    const height = Math.max(...boxes.map((box) => box.height));
    return Math.max(1, Math.round(Math.sqrt((boxes.length * core.width() * height) / (core.height() * width))));
  }

  /** A few boxes need not fill the frame. */
  #shrink(): void {
    if (this.#core.zoom() <= 1.4) return;
    this.#core.zoom(1.4);
    this.#core.center();
  }

  #light(id: string, name: string): ReturnType<Core["collection"]> {
    const node = this.#core.getElementById(id);
    const near = node.union(node.children()).closedNeighborhood();
    near.addClass(name);
    return near;
  }

  #dull(name: string): void {
    this.#core.elements(`.${name}`).removeClass(name);
  }

  /** From a fixed beginning, so that one environment has one picture. */
  #arrange(graph: Graph, places: ReadonlyMap<string, { x: number; y: number }>): void {
    const groups = [...new Set(graph.nodes.map((node) => node.stack ?? node.id))];
    const radius = 120 + 30 * Math.sqrt(graph.nodes.length) * 4;
    const seen = new Map<string, number>();
    for (const node of graph.nodes) {
      if (node.kind === "stack") continue;
      const group = node.stack ?? node.id;
      const turn = (2 * Math.PI * groups.indexOf(group)) / groups.length;
      const step = seen.get(group) ?? 0;
      seen.set(group, step + 1);
      const place = places.get(node.id) ?? {
        x: 1.5 * radius * Math.cos(turn) + 90 * (step % 3),
        y: radius * Math.sin(turn) + 60 * Math.floor(step / 3),
      };
      this.#core.getElementById(node.id).position(place);
    }
    const ends = graph.nodes.filter((node) => node.kind !== "stack").length;
    // Where nearly everyone may talk to everyone no arrangement shows it: names that can be read are worth more, and
    // the lines of one come out when it is pointed at.
    const dense = graph.edges.length > 60 && graph.edges.length > 4 * ends;
    this.#core.edges().toggleClass("faint", dense);
    if (dense && ends === graph.nodes.length) {
      const sort = (one: NodeSingular, other: NodeSingular): number =>
        ORDER.compare(one.data("label"), other.data("label"));
      this.#core
        .layout({
          name: "grid",
          cols: this.#columns(),
          padding: 24,
          animate: false,
          avoidOverlapPadding: 26,
          condense: true,
          sort,
        })
        .run();
      this.#shrink();
      return;
    }
    const layout = {
      name: "fcose",
      quality: graph.nodes.length > 250 ? "default" : "proof",
      randomize: false,
      animate: false,
      fit: true,
      padding: 24,
      nodeDimensionsIncludeLabels: true,
      packComponents: true,
      nodeSeparation: 90,
      idealEdgeLength: 110,
      nodeRepulsion: 9000,
      gravity: 0.3,
      gravityCompound: 1.4,
      tilingPaddingVertical: 18,
      tilingPaddingHorizontal: 18,
    };
    (dense ? this.#core.nodes() : this.#core.elements()).layout(layout as cytoscape.LayoutOptions).run();
    this.#shrink();
  }
}

const ORDER = new Intl.Collator("en", { numeric: true });

const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

function idOf(target: { isNode(): boolean; id(): string }): string | null {
  return target.isNode() ? target.id() : null;
}

function nodeElement(node: GraphNode): ElementDefinition & { data: { id: string } } {
  const label = node.kind === "folded" ? `${node.label}  ·  ${node.parties.length}` : node.label;
  return {
    group: "nodes",
    data: {
      id: node.id,
      label,
      width: textWidth(label, node.kind === "folded"),
      ...(node.parent === null ? {} : { parent: node.parent }),
    },
    classes: `${node.kind}${node.system ? " system" : ""}`,
  };
}

const ruler = document.createElement("canvas").getContext("2d");

function textWidth(text: string, bold: boolean): number {
  if (!ruler) return text.length * 7;
  ruler.font = `${bold ? "600 13px" : "12px"} ${getComputedStyle(document.body).fontFamily}`;
  return Math.ceil(ruler.measureText(text).width) + 2;
}

function edgeElement(edge: GraphEdge): ElementDefinition & { data: { id: string } } {
  const classes = [edge.forth && "forth", edge.back && "back", edge.forth !== "all" && edge.back !== "all" && "part"];
  return {
    group: "edges",
    data: { id: edge.id, source: edge.source, target: edge.target },
    classes: classes.filter(Boolean).join(" "),
  };
}

function sheet(container: HTMLElement): StylesheetJson {
  const style = getComputedStyle(container);
  const paint = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const font = style.fontFamily;
  const box = {
    shape: "round-rectangle",
    width: "data(width)",
    height: 16,
    label: "data(label)",
    "font-family": font,
    "text-valign": "center",
    "text-halign": "center",
  };
  const rules = [
    {
      selector: "node.party, node.folded",
      style: {
        ...box,
        padding: "7px",
        "font-size": 12,
        color: paint("text"),
        "background-color": paint("surface"),
        "border-width": 1.2,
        "border-color": paint("line-strong"),
      },
    },
    {
      selector: "node.folded",
      style: {
        padding: "11px",
        "font-size": 13,
        "font-weight": 600,
        "background-color": paint("stack"),
        "border-style": "double",
        "border-width": 4,
      },
    },
    { selector: "node.system", style: { "border-style": "dashed", color: paint("quiet") } },
    {
      selector: "node.stack",
      style: {
        shape: "round-rectangle",
        label: "data(label)",
        "font-family": font,
        "font-size": 13,
        "font-weight": 600,
        color: paint("quiet"),
        "text-valign": "top",
        "text-margin-y": -4,
        padding: "14px",
        "background-color": paint("stack"),
        "background-opacity": 0.6,
        "border-width": 1,
        "border-color": paint("line"),
      },
    },
    {
      selector: "edge",
      style: {
        width: 1.4,
        opacity: 0.75,
        "line-color": paint("allow"),
        "curve-style": "bezier",
        "arrow-scale": 0.9,
        "source-arrow-color": paint("allow"),
        "target-arrow-color": paint("allow"),
      },
    },
    { selector: "edge.forth", style: { "target-arrow-shape": "triangle" } },
    { selector: "edge.back", style: { "source-arrow-shape": "triangle" } },
    { selector: "edge.part", style: { "line-style": "dashed", "line-dash-pattern": [5, 4] } },
    {
      selector: "edge.faint",
      style: { opacity: 0.09, "z-index": 0, "source-arrow-shape": "none", "target-arrow-shape": "none" },
    },
    { selector: "edge.forth.hovered, edge.forth.chosen", style: { "target-arrow-shape": "triangle" } },
    { selector: "edge.back.hovered, edge.back.chosen", style: { "source-arrow-shape": "triangle" } },
    { selector: ".hovered", style: { "border-color": paint("accent") } },
    { selector: "edge.hovered, edge.chosen", style: { width: 2.2, opacity: 0.9, "z-index": 2 } },
    { selector: "node.chosen", style: { "border-color": paint("accent") } },
    { selector: "node.held", style: { "border-width": 3, "background-color": paint("accent-soft") } },
    { selector: "node.dim", style: { opacity: 0.25 } },
    { selector: "edge.dim", style: { opacity: 0.05 } },
  ];
  return rules as unknown as StylesheetJson;
}
