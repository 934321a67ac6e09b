// Where things are in the matrix, in CSS pixels. Pure.

/** Small enough to see much, large enough to hit: all of it without scrolling where that is possible. */
export function cellSize(columns: number, available: number): number {
  return Math.max(12, Math.min(38, Math.floor(available / Math.max(1, columns))));
}

export interface Span {
  first: number;
  /** Not included. */
  end: number;
}

/** The lines of `size` pixels that a window of `length` shows, with a few beyond its edges. */
export function visible(scroll: number, length: number, size: number, lines: number, beyond = 0): Span {
  const first = Math.max(0, Math.floor(scroll / size) - beyond);
  return { first, end: Math.max(first, Math.min(lines, Math.ceil((scroll + length) / size) + beyond)) };
}

export interface Cell {
  row: number;
  column: number;
}

const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, value));

/** Where a key leads; `page` is how many rows one screen shows. Undefined for a key that is none of ours. */
export function moved(
  from: Cell,
  key: string,
  control: boolean,
  rows: number,
  columns: number,
  page: number,
): Cell | undefined {
  const [lastRow, lastColumn] = [Math.max(0, rows - 1), Math.max(0, columns - 1)];
  const to = (row: number, column: number): Cell => ({ row: clamp(row, lastRow), column: clamp(column, lastColumn) });
  switch (key) {
    case "ArrowUp":
      return to(control ? 0 : from.row - 1, from.column);
    case "ArrowDown":
      return to(control ? lastRow : from.row + 1, from.column);
    case "ArrowLeft":
      return to(from.row, control ? 0 : from.column - 1);
    case "ArrowRight":
      return to(from.row, control ? lastColumn : from.column + 1);
    case "Home":
      return to(control ? 0 : from.row, 0);
    case "End":
      return to(control ? lastRow : from.row, lastColumn);
    case "PageUp":
      return to(from.row - page, from.column);
    case "PageDown":
      return to(from.row + page, from.column);
    default:
      return undefined;
  }
}

/** How far to scroll so that a line is in the window. */
export function revealed(scroll: number, length: number, position: number, size: number): number {
  if (position < scroll) return position;
  return position + size > scroll + length ? position + size - length : scroll;
}
