// Draws the visible cells of the matrix on a canvas: half a million elements would be too many for a document.

import type { Matrix, Verdict } from "../documents";
import type { Cell, Span } from "./geometry";
import type { Selection } from "./select";
import { known } from "./words";

export interface Picture {
  matrix: Matrix;
  selection: Selection;
  wanted: readonly Verdict[];
  size: number;
  rows: Span;
  columns: Span;
  scroll: { left: number; top: number };
  hover: Cell | null;
  /** Whether denied flows pass, for the mode. */
  passing: boolean;
}

interface Paints {
  fills: Record<Verdict, string>;
  marks: Record<Verdict, string>;
  blank: string;
  line: string;
  band: string;
}

function paints(element: Element, passing: boolean): Paints {
  const style = getComputedStyle(element);
  const paint = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    fills: {
      allow: paint("allow"),
      deny: paint(passing ? "audit-soft" : "deny-fill"),
      mixed: paint("mixed-fill"),
      "not judged": paint("none"),
    },
    marks: {
      allow: paint("allow-mark"),
      deny: paint(passing ? "audit" : "deny-mark"),
      mixed: paint("allow"),
      "not judged": paint("none-mark"),
    },
    blank: paint("blank"),
    line: paint("line-strong"),
    band: paint("band"),
  };
}

export function draw(canvas: HTMLCanvasElement, width: number, height: number, picture: Picture): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, -picture.scroll.left * ratio, -picture.scroll.top * ratio);
  const colours = paints(canvas, picture.passing);
  cells(context, picture, colours);
  borders(context, picture, colours);
  if (picture.hover) band(context, picture, picture.hover, colours);
}

function cells(context: CanvasRenderingContext2D, picture: Picture, colours: Paints): void {
  const { matrix, selection, rows, columns, size } = picture;
  const gap = size >= 20 ? 2 : 1;
  const wanted = picture.wanted.length ? new Set(picture.wanted) : null;
  const verdicts = matrix.decisions.map((decision) => known(decision.verdict));
  for (let row = rows.first; row < rows.end; row += 1) {
    const line = matrix.cells[selection.clients[row] ?? -1] ?? [];
    for (let column = columns.first; column < columns.end; column += 1) {
      const verdict = verdicts[line[selection.servers[column] ?? -1] ?? -1] ?? "not judged";
      const [x, y, side] = [column * size, row * size, size - gap];
      const blank = wanted !== null && !wanted.has(verdict);
      context.fillStyle = blank ? colours.blank : colours.fills[verdict];
      if (size >= 20) {
        context.beginPath();
        context.roundRect(x, y, side, side, 3);
        context.fill();
      } else {
        context.fillRect(x, y, side, side);
      }
      if (!blank) mark(context, verdict, x, y, side, colours.marks[verdict]);
    }
  }
}

/** Besides its colour each verdict has a shape, for eyes that do not tell the colours apart. */
function mark(
  context: CanvasRenderingContext2D,
  verdict: Verdict,
  x: number,
  y: number,
  side: number,
  paint: string,
): void {
  if (verdict === "mixed") {
    context.fillStyle = paint;
    context.beginPath();
    context.moveTo(x, y + side);
    context.lineTo(x + side, y + side);
    context.lineTo(x + side, y);
    context.fill();
    return;
  }
  if (side < 16 || verdict === "allow") return;
  const [inset, far] = [side * 0.36, side * 0.64];
  context.strokeStyle = paint;
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.beginPath();
  if (verdict === "deny") {
    context.moveTo(x + inset, y + inset);
    context.lineTo(x + far, y + far);
    context.moveTo(x + far, y + inset);
    context.lineTo(x + inset, y + far);
  } else {
    context.moveTo(x + inset, y + side / 2);
    context.lineTo(x + far, y + side / 2);
  }
  context.stroke();
}

/** Lines between stacks. */
function borders(context: CanvasRenderingContext2D, picture: Picture, colours: Paints): void {
  const { matrix, selection, rows, columns, size } = picture;
  const stack = (index: number | undefined): string | null => matrix.parties[index ?? -1]?.stack ?? null;
  const gap = size >= 20 ? 2 : 1;
  context.fillStyle = colours.line;
  const [left, right, top, bottom] = [
    columns.first * size,
    columns.end * size - gap,
    rows.first * size,
    rows.end * size - gap,
  ];
  for (let row = Math.max(1, rows.first); row < rows.end; row += 1) {
    if (stack(selection.clients[row]) !== stack(selection.clients[row - 1]))
      context.fillRect(left, row * size - gap / 2 - 0.5, right - left, 1);
  }
  for (let column = Math.max(1, columns.first); column < columns.end; column += 1) {
    if (stack(selection.servers[column]) !== stack(selection.servers[column - 1]))
      context.fillRect(column * size - gap / 2 - 0.5, top, 1, bottom - top);
  }
}

function band(context: CanvasRenderingContext2D, picture: Picture, hover: Cell, colours: Paints): void {
  const { rows, columns, size } = picture;
  context.fillStyle = colours.band;
  context.fillRect(columns.first * size, hover.row * size, (columns.end - columns.first) * size, size);
  context.fillRect(hover.column * size, rows.first * size, size, (rows.end - rows.first) * size);
}
