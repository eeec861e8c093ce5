/** Which cell is where: numbers, places in bands, words and names. Knows nothing of pixels. */
import { assign, type BitSet, empty, fromWire, has, without } from "./bits";
import type { Band, Column, Metric, Plan, Row, StackTab } from "./wire";

/** A place in some bands. Row -1 is the column headers, column -1 the row headers, both -1 the band's corner. */
export interface Spot {
  band: number;
  row: number;
  column: number;
}

/** The cells of a model, or of those of its bands that are shown: numbers and bits are the model's either way. */
export interface Cells {
  model: string;
  standing: Plan["standing"];
  standingNote: string;
  /** The stacks to choose from; none where there is no choice. */
  stacks: readonly StackTab[];
  /** What the cells can be coloured by. */
  metrics: readonly Metric[];
  bands: readonly Band[];
  /** The number of each band's first cell. */
  first: readonly number[];
  /** How many cells the model has. */
  count: number;
  absent: BitSet;
  zero: BitSet;
  /** All cells that have parameters behind them. */
  present: BitSet;
}

/** The cells of a plan; a plan that has not come yet has none. */
export function readPlan(plan: Partial<Plan>): Cells {
  const { bands = [], stacks = [] } = plan;
  const first: number[] = [];
  let n = 0;
  for (const band of bands) {
    first.push(n);
    n += band.rows.length * band.columns.length;
  }
  const absent = fromWire(plan.absent, n);
  const every = assign(
    empty(n),
    Array.from({ length: n }, (_, i) => i),
    true,
  );
  return {
    model: plan.model ?? "",
    standing: plan.standing ?? "table",
    standingNote: plan.standing_note ?? "",
    stacks: stacks.length > 1 ? stacks : [],
    metrics: plan.metrics ?? [],
    bands,
    first,
    count: n,
    absent,
    zero: fromWire(plan.zero, n),
    present: without(every, absent),
  };
}

/** A band whose rows stand for no layer, such as the embeddings: its cells carry their own labels, it has no headers. */
export function isLabelled(band: Band): boolean {
  return band.rows.every((row) => row.word === "");
}

export function sameSpot(a: Spot | null, b: Spot | null): boolean {
  return a?.band === b?.band && a?.row === b?.row && a?.column === b?.column;
}

/** The number of the cell at a spot, or -1 where there is none. */
export function numberAt(cells: Cells, { band, row, column }: Spot): number {
  const shape = cells.bands[band];
  if (!shape || row < 0 || column < 0 || row >= shape.rows.length || column >= shape.columns.length)
    return -1;
  const n = cells.first[band]! + row * shape.columns.length + column;
  return has(cells.absent, n) ? -1 : n;
}

/** The place of a cell; null where its band is not among these. */
export function spotOf(cells: Cells, n: number): Spot | null {
  const band = cells.bands.findIndex(
    (_, b) => n >= cells.first[b]! && n < cells.first[b]! + sizeOf(cells, b),
  );
  if (band < 0) return null;
  const width = cells.bands[band]!.columns.length;
  const offset = n - cells.first[band]!;
  return { band, row: Math.floor(offset / width), column: offset % width };
}

/** How many cells a band has, absent ones included. */
export function sizeOf(cells: Cells, band: number): number {
  const { rows, columns } = cells.bands[band]!;
  return rows.length * columns.length;
}

/** The cells that a spot stands for: one cell, or all of a row, of a column, of a band. */
export function membersOf(cells: Cells, spot: Spot): number[] {
  const band = cells.bands[spot.band];
  if (!band) return [];
  const from = { ...spot, row: Math.max(0, spot.row), column: Math.max(0, spot.column) };
  const to = {
    ...spot,
    row: spot.row < 0 ? band.rows.length - 1 : spot.row,
    column: spot.column < 0 ? band.columns.length - 1 : spot.column,
  };
  return block(cells, from, to);
}

/** Whether a spot's every cell is on. Walks without a list, because a paint asks it of every header. */
export function isAllOn(cells: Cells, on: BitSet, spot: Spot): boolean {
  const band = cells.bands[spot.band];
  if (!band) return false;
  const columns = band.columns.length;
  let found = false;
  for (let row = Math.max(0, spot.row); row < (spot.row < 0 ? band.rows.length : spot.row + 1); row++) {
    for (let c = Math.max(0, spot.column); c < (spot.column < 0 ? columns : spot.column + 1); c++) {
      const n = cells.first[spot.band]! + row * columns + c;
      if (has(cells.absent, n)) continue;
      if (!has(on, n)) return false;
      found = true;
    }
  }
  return found;
}

/** One line of the grid: a row of cells, or, as row -1, the column headers of a band. */
export interface Line {
  band: number;
  row: number;
}

/** All lines from top to bottom. */
export function linesOf(cells: Cells): Line[] {
  return cells.bands.flatMap((band, b) => [
    ...(isLabelled(band) ? [] : [{ band: b, row: -1 }]),
    ...band.rows.map((_, row) => ({ band: b, row })),
  ]);
}

/** The cells of the rectangle between two spots of one band. */
export function block(cells: Cells, a: Spot, b: Spot): number[] {
  const members: number[] = [];
  if (a.band !== b.band) return members;
  for (let row = Math.min(a.row, b.row); row <= Math.max(a.row, b.row); row++) {
    for (let column = Math.min(a.column, b.column); column <= Math.max(a.column, b.column); column++) {
      const n = numberAt(cells, { band: a.band, row, column });
      if (n >= 0) members.push(n);
    }
  }
  return members;
}

function rowOf(cells: Cells, spot: Spot): Row | undefined {
  return cells.bands[spot.band]?.rows[spot.row];
}

function columnOf(cells: Cells, spot: Spot): Column | undefined {
  return cells.bands[spot.band]?.columns[spot.column];
}

/** "l1h2" of a cell, "l1" of a row; "" where the grammar has no such word. */
export function wordOf(cells: Cells, spot: Spot): string {
  const row = rowOf(cells, spot)?.word ?? "";
  if (spot.row < 0) return "";
  return (row + (columnOf(cells, spot)?.word ?? "")).trim();
}

/** "layer 1 head 2" of a cell, "layer 1" of a row, "head 2, every layer" of a column. */
export function nameOf(cells: Cells, spot: Spot): string {
  const band = cells.bands[spot.band];
  if (!band) return "";
  const row = rowOf(cells, spot)?.name ?? "";
  const column = columnOf(cells, spot)?.name ?? "";
  if (spot.row >= 0) return `${row} ${column}`.trim();
  return spot.column >= 0 ? `${column}, every row` : `everything in ${band.title || "this block"}`;
}

/** What a screen reader says of a spot; of a cell that is coloured, its value too. */
export function labelOf(cells: Cells, spot: Spot, on: BitSet, partial: BitSet, value = ""): string {
  const n = numberAt(cells, spot);
  if (n >= 0) {
    const state = has(on, n) ? ", selected" : has(partial, n) ? ", partly selected" : "";
    const zero = has(cells.zero, n) ? ", all output weights are zero" : "";
    return nameOf(cells, spot) + state + zero + (value && `, ${value}`);
  }
  const members = membersOf(cells, spot);
  const selected = members.filter((m) => has(on, m)).length;
  return `${nameOf(cells, spot)}, ${selected} of ${members.length} selected`;
}
