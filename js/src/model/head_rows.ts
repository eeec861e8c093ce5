/** The metrics of all selected heads, a row for each, and the orders that the rows can stand in. Pure. */
import { type BitSet, has } from "./bits";
import type { HeadsTable, Metric } from "./wire";

export interface HeadRows {
  columns: readonly Metric[];
  /** The cell of each row, in the grid's order. */
  cells: readonly number[];
  /** Row by row; NaN where a head has no such value. */
  values: Float32Array;
  note: string;
  pending: boolean;
}

/** A column and a direction; column -1 is the heads themselves, in the grid's order. */
export interface RowOrder {
  column: number;
  descending: boolean;
}

/** The rows of the heads that are selected still; null where there are none. */
export function readHeadRows(
  table: Partial<HeadsTable> | undefined,
  on: BitSet,
  ln: string,
): HeadRows | null {
  const { columns = [], cells: all = [], values: bytes, note = "", pending = false } = table ?? {};
  const still = all.map((cell, row) => ({ cell, row })).filter(({ cell }) => has(on, cell));
  if (!still.length) return null;
  const width = columns.length;
  const values = new Float32Array(still.length * width).fill(Number.NaN);
  // Byte order and alignment are those of the wire, not of this machine.
  if (bytes && bytes.byteLength >= 4 * all.length * width)
    for (const [k, { row }] of still.entries())
      for (let c = 0; c < width; c++) values[k * width + c] = bytes.getFloat32(4 * (row * width + c), true);
  const isOld = still.length < all.length || (table?.ln ?? ln) !== ln;
  return { columns, cells: still.map(({ cell }) => cell), values, note, pending: pending || isOld };
}

export const valueAt = ({ columns, values }: HeadRows, row: number, column: number): number =>
  values[row * columns.length + column] ?? Number.NaN;

/** The rows from top to bottom; those without a value stand last, and equal ones in the grid's order. */
export function orderedRows(rows: HeadRows, { column, descending }: RowOrder): number[] {
  const order = [...rows.cells.keys()];
  const sign = descending ? -1 : 1;
  if (column < 0) return descending ? order.reverse() : order;
  return order.sort((a, b) => {
    const [x, y] = [valueAt(rows, a, column), valueAt(rows, b, column)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
    return sign * (x - y) || a - b;
  });
}

/** From zero to each value, in parts of a column's width that holds zero and all of its values. */
export interface ColumnSpan {
  low: number;
  span: number;
}

export function spanOf(rows: HeadRows, column: number): ColumnSpan {
  let [low, high] = [0, 0];
  for (let row = 0; row < rows.cells.length; row++) {
    const value = valueAt(rows, row, column);
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, span: high - low || 1 };
}
