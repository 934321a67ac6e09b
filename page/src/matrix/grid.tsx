// The matrix: a canvas for the cells, a few elements for the names in view, and one real cell that has the focus.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Matrix, Verdict } from "../documents";
import { Name } from "../parts";
import { dark, passing } from "../store";
import { draw } from "./draw";
import { type Cell, cellSize, moved, revealed, type Span, visible } from "./geometry";
import type { Selection } from "./select";
import { cellSentence } from "./words";

export interface Pair {
  client: string;
  server: string;
}

interface GridProps {
  matrix: Matrix;
  selection: Selection;
  wanted: readonly Verdict[];
  pinned: Pair;
  /** The pair under the pointer, or the one that has the focus. */
  look: (pair: Pair | null) => void;
  pin: (pair: Pair) => void;
}

const ruler = document.createElement("canvas").getContext("2d");
const PADDING = 22;

/** How long the longest name is; longer ones than `most` are cut. */
function headerLength(matrix: Matrix, indices: readonly number[], size: number, most: number): number {
  const font = size < 16 ? 10 : 12.5;
  let longest = 60;
  if (ruler) ruler.font = `600 ${font}px ${getComputedStyle(document.body).fontFamily}`;
  for (const index of indices) {
    const name = matrix.parties[index]?.name ?? "";
    // Measuring takes time, and a name that is shorter by far is none to measure.
    if (name.length * font * 0.75 <= longest) continue;
    longest = Math.max(longest, ruler?.measureText(name).width ?? name.length * font * 0.6);
    if (longest >= most) return most;
  }
  return Math.min(most, Math.ceil(longest) + PADDING);
}

const px = (value: number): string => `${value}px`;

export function Grid({ matrix, selection, wanted, pinned, look, pin }: GridProps) {
  const { clients, servers } = selection;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const focusCell = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState({ width: 0, height: 0 });
  const [scroll, setScroll] = useState({ left: 0, top: 0 });
  const [hover, setHover] = useState<Cell | null>(null);
  const [focus, setFocus] = useState<Pair>(pinned);
  const [focused, setFocused] = useState(false);

  const size = useMemo(() => {
    const lines = Math.max(clients.length, servers.length);
    const guess = headerLength(matrix, clients, lines > 40 ? 12 : 20, 220);
    return cellSize(lines, Math.max(0, room.width - guess - 16));
  }, [clients, servers, matrix, room.width]);
  const left = useMemo(() => headerLength(matrix, clients, size, 220), [matrix, clients, size]);
  const top = useMemo(() => headerLength(matrix, servers, size, 170), [matrix, servers, size]);

  const nameOf = (index: number | undefined): string => matrix.parties[index ?? -1]?.name ?? "";
  const pairAt = (cell: Cell): Pair => ({
    client: nameOf(clients[cell.row]),
    server: nameOf(servers[cell.column]),
  });
  const cellOf = (pair: Pair): Cell => ({
    row: Math.max(
      0,
      clients.findIndex((index) => nameOf(index) === pair.client),
    ),
    column: Math.max(
      0,
      servers.findIndex((index) => nameOf(index) === pair.server),
    ),
  });
  const at = cellOf(focus);
  const here = pairAt(at);
  const isPinned = pinned.client === here.client && pinned.server === here.server;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = (): void => setRoom({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const width = Math.max(0, Math.min(room.width - left, servers.length * size));
  const height = Math.max(0, Math.min(room.height - top, clients.length * size));
  const rows = visible(scroll.top, height, size, clients.length);
  const columns = visible(scroll.left, width, size, servers.length);

  useLayoutEffect(() => {
    if (canvas.current) {
      const view = { matrix, selection, wanted, size, rows, columns, scroll, hover };
      draw(canvas.current, width, height, { ...view, passing: passing.value !== null });
    }
  }, [matrix, selection, wanted, size, width, height, scroll, hover, dark.value, passing.value]);

  const show = (cell: Cell): void => {
    const element = scroller.current;
    if (!element) return;
    element.scrollTop = revealed(element.scrollTop, height, cell.row * size, size);
    element.scrollLeft = revealed(element.scrollLeft, width, cell.column * size, size);
  };
  const go = (cell: Cell): void => {
    setFocus(pairAt(cell));
    show(cell);
    look(pairAt(cell));
    focusCell.current?.focus({ preventScroll: true });
  };
  // A shared view shows its pair.
  useEffect(() => {
    if (pinned.client && room.width) {
      setFocus(pinned);
      show(cellOf(pinned));
    }
  }, [pinned.client, pinned.server, room.width > 0]);

  const pointed = (event: PointerEvent | MouseEvent): Cell | null => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const cell = {
      row: Math.floor((event.clientY - box.top + scroll.top) / size),
      column: Math.floor((event.clientX - box.left + scroll.left) / size),
    };
    const inside = cell.row >= 0 && cell.row < clients.length && cell.column >= 0 && cell.column < servers.length;
    return inside ? cell : null;
  };
  const point = (event: PointerEvent): void => {
    const cell = pointed(event);
    if (cell?.row === hover?.row && cell?.column === hover?.column) return;
    setHover(cell);
    look(cell ? pairAt(cell) : null);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pin(here);
      return;
    }
    const page = Math.max(1, Math.floor(height / size) - 1);
    const to = moved(at, event.key, event.ctrlKey || event.metaKey, clients.length, servers.length, page);
    if (to === undefined || event.altKey) return;
    event.preventDefault();
    setHover(null);
    go(to);
  };

  const decision = matrix.decisions[matrix.cells[clients[at.row] ?? -1]?.[servers[at.column] ?? -1] ?? -1];
  const sentence = cellSentence(here.client, here.server, decision, passing.value);
  const lit = hover ?? (focused ? at : null);

  return (
    <>
      <div
        ref={scroller}
        class={`matrix ${size < 16 ? "matrix-small" : ""}`}
        role="grid"
        aria-label="Who may talk to whom: clients are rows, servers are columns"
        aria-rowcount={clients.length + 1}
        aria-colcount={servers.length + 1}
        onScroll={(event) => setScroll({ left: event.currentTarget.scrollLeft, top: event.currentTarget.scrollTop })}
      >
        <div
          class="matrix-space"
          style={{
            width: px(left + servers.length * size),
            height: px(top + clients.length * size),
            gridTemplate: `${px(top)} 1fr / ${px(left)} 1fr`,
          }}
        >
          <div class="matrix-corner" aria-hidden="true">
            <span>clients ↓</span>
            <span>servers →</span>
          </div>
          <Columns {...{ nameOf, servers, columns, size, lit }} />
          <Rows {...{ nameOf, clients, rows, size, lit }} />
          <div
            class="matrix-body"
            onPointerMove={point}
            onPointerLeave={() => {
              setHover(null);
              look(null);
            }}
            onClick={(event) => {
              const cell = pointed(event);
              if (cell) {
                go(cell);
                pin(pairAt(cell));
              }
            }}
          >
            <canvas
              ref={canvas}
              class="matrix-canvas"
              aria-hidden="true"
              style={{ width: px(width), height: px(height), left: px(left), top: px(top) }}
            />
            {clients.length > 0 && servers.length > 0 && (
              <div role="row" aria-rowindex={at.row + 2}>
                <div
                  ref={focusCell}
                  id="matrix-cell"
                  class={`matrix-cell ${isPinned ? "pinned" : ""}`}
                  role="gridcell"
                  tabIndex={0}
                  aria-colindex={at.column + 2}
                  aria-selected={isPinned}
                  aria-label={sentence}
                  data-verdict={decision?.verdict}
                  style={{
                    left: px(at.column * size),
                    top: px(at.row * size),
                    width: px(size - (size >= 20 ? 2 : 1)),
                    height: px(size - (size >= 20 ? 2 : 1)),
                  }}
                  onKeyDown={press}
                  onFocus={() => {
                    setFocused(true);
                    look(here);
                  }}
                  onBlur={() => {
                    setFocused(false);
                    look(null);
                  }}
                />
              </div>
            )}
          </div>
        </div>
      </div>
      <p class="unseen" aria-live="polite">
        {focused ? sentence : ""}
      </p>
    </>
  );
}

interface NamesProps {
  nameOf: (index: number | undefined) => string;
  size: number;
  lit: Cell | null;
}

function lines(span: Span): number[] {
  return Array.from({ length: span.end - span.first }, (_, offset) => span.first + offset);
}

function Columns({ nameOf, servers, columns, size, lit }: NamesProps & { servers: readonly number[]; columns: Span }) {
  return (
    <div class="matrix-columns" role="row" aria-rowindex={1}>
      {lines(columns).map((column) => (
        <span
          key={servers[column]}
          role="columnheader"
          aria-colindex={column + 2}
          class={lit?.column === column ? "lit" : ""}
          title={nameOf(servers[column])}
          style={{ left: px(column * size), width: px(size) }}
        >
          <Name of={nameOf(servers[column])} />
        </span>
      ))}
    </div>
  );
}

function Rows({ nameOf, clients, rows, size, lit }: NamesProps & { clients: readonly number[]; rows: Span }) {
  return (
    <div class="matrix-rows" role="presentation">
      {lines(rows).map((row) => (
        <div
          key={clients[row]}
          role="row"
          aria-rowindex={row + 2}
          class={lit?.row === row ? "lit" : ""}
          style={{ top: px(row * size), height: px(size) }}
        >
          <span role="rowheader" aria-colindex={1} title={nameOf(clients[row])}>
            <Name of={nameOf(clients[row])} />
          </span>
        </div>
      ))}
    </div>
  );
}
