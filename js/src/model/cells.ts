/** The cells of a model: their numbers, positions in bands, words and names. Knows nothing of pixels. */
import { type BitSet, fromWire, full, has, without } from "./bits";
import type { Band, Column, GridSpec, Handle, Metric, Row, StackTab, Tooltip } from "./wire";

/**
 * A position in the grid: a cell, a header, a handle or a bracket.
 *
 * Row -1 is the column headers, column -1 the row headers, both -1 the band's corner. Columns from -2 downwards are the
 * band's handles. Row -2 is the brackets over groups of heads; its columns are the first heads of their groups.
 */
export interface Position {
  band: number;
  row: number;
  column: number;
}

/** The cells of a model, or of those of its bands that are shown: numbers and bits are the model's either way. */
export interface Cells {
  model: string;
  provenance: GridSpec["provenance"];
  provenanceNote: string;
  /** The stacks to choose from; none where there is no choice. */
  stacks: readonly StackTab[];
  /** What the cells can be colored by. */
  metrics: readonly Metric[];
  bands: readonly Band[];
  /** The tooltips that `Band.tooltips` refers to by index. */
  tooltips: readonly Tooltip[];
  /** The number of each band's first cell. */
  first: readonly number[];
  /** How many cells the model has. */
  count: number;
  absent: BitSet;
  zero: BitSet;
  /** All cells that have parameters behind them. */
  present: BitSet;
}

/** The cells of a spec; a spec that has not come yet has none. */
export function readSpec(spec: Partial<GridSpec>): Cells {
  const { bands = [], stacks = [] } = spec;
  const first: number[] = [];
  let n = 0;
  for (const band of bands) {
    first.push(n);
    n += band.rows.length * band.columns.length;
  }
  const absent = fromWire(spec.absent, n);
  return {
    model: spec.model ?? "",
    provenance: spec.provenance ?? "table",
    provenanceNote: spec.provenance_note ?? "",
    stacks: stacks.length > 1 ? stacks : [],
    metrics: spec.metrics ?? [],
    bands,
    tooltips: spec.tooltips ?? [],
    first,
    count: n,
    absent,
    zero: fromWire(spec.zero, n),
    present: without(full(n), absent),
  };
}

/** A band whose rows stand for no layer, such as the embeddings: its cells carry their own labels, it has no headers. */
export function isLabeled(band: Band): boolean {
  return band.rows.every((row) => row.word === "");
}

export function samePosition(a: Position | null, b: Position | null): boolean {
  return a?.band === b?.band && a?.row === b?.row && a?.column === b?.column;
}

/** The number of the cell at a position, or -1 where there is none. */
export function numberAt(cells: Cells, { band, row, column }: Position): number {
  const shape = cells.bands[band];
  if (!shape || row < 0 || column < 0 || row >= shape.rows.length || column >= shape.columns.length)
    return -1;
  const n = cells.first[band]! + row * shape.columns.length + column;
  return has(cells.absent, n) ? -1 : n;
}

/** The position of a cell; null where its band is not among these. */
export function positionOf(cells: Cells, n: number): Position | null {
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

/** The handles of a band; a spec of an older version has none. */
export function handlesOf(band: Band | undefined): readonly Handle[] {
  return band?.handles ?? [];
}

/** The column of a handle, as positions have it. */
export const columnOfHandle = (handle: number): number => -2 - handle;

/** The handle at a column of a position. */
export function handleAt(band: Band | undefined, column: number): Handle | undefined {
  return column < -1 ? handlesOf(band)[-2 - column] : undefined;
}

/** The columns of a band and its handles from left to right, the row headers left out. */
export function orderOf(band: Band): number[] {
  const at = (c: number) =>
    handlesOf(band).flatMap((handle, h) => (handle.before === c ? [columnOfHandle(h)] : []));
  return [...band.columns.flatMap((_, c) => [...at(c), c]), ...at(band.columns.length)];
}

/** The first and the last of the neighboring heads that read one key/value head; null for what shares none. */
export function groupAt(band: Band | undefined, column: number): [first: number, last: number] | null {
  const { kind, group = -1 } = band?.columns[column] ?? {};
  if (!band || kind !== "head" || group < 0) return null;
  const shares = (c: number) => band.columns[c]?.kind === "head" && band.columns[c].group === group;
  let [first, last] = [column, column];
  while (shares(first - 1)) first--;
  while (shares(last + 1)) last++;
  return last > first ? [first, last] : null;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => first + k);
}

/** The columns that a position stands for. */
function columnsUnder(band: Band, { row, column }: Position): readonly number[] {
  if (column < -1) return handleAt(band, column)?.columns ?? [];
  if (column === -1) return range(0, band.columns.length - 1);
  const group = row === -2 ? groupAt(band, column) : null;
  return group ? range(...group) : [column];
}

/** The cells that a position stands for: one cell, or all of a row, of a column, of a group, of a handle, of a band. */
export function membersOf(cells: Cells, position: Position): number[] {
  const band = cells.bands[position.band];
  if (!band) return [];
  const columns = columnsUnder(band, position);
  const rows = position.row < 0 ? range(0, band.rows.length - 1) : [position.row];
  return rows
    .flatMap((row) => columns.map((column) => numberAt(cells, { band: position.band, row, column })))
    .filter((n) => n >= 0);
}

/** One line of the grid: a row of cells, or, as row -1 and -2, the column headers of a band and the brackets above. */
export interface Line {
  band: number;
  row: number;
}

/** Whether heads of a band share key/value heads. */
export function hasGroups(band: Band): boolean {
  return !isLabeled(band) && band.columns.some((_, c) => groupAt(band, c));
}

/** Whether the cursor can be at a position. */
export function exists(cells: Cells, position: Position): boolean {
  const { row, column } = position;
  const band = cells.bands[position.band];
  if (!band || row >= band.rows.length || column >= band.columns.length) return false;
  if (row === -2) return groupAt(band, column)?.[0] === column;
  if (column < -1) return handleAt(band, column) !== undefined && membersOf(cells, position).length > 0;
  return row < 0 || column < 0 ? !isLabeled(band) : numberAt(cells, position) >= 0;
}

/** All lines from top to bottom. */
export function linesOf(cells: Cells): Line[] {
  return cells.bands.flatMap((band, b) => [
    ...(hasGroups(band) ? [{ band: b, row: -2 }] : []),
    ...(isLabeled(band) ? [] : [{ band: b, row: -1 }]),
    ...band.rows.map((_, row) => ({ band: b, row })),
  ]);
}

/** The first or the last cell of the grid, or of its bands from a given one on. */
export function endCell(cells: Cells, last: boolean, from = 0): Position {
  const lines = linesOf(cells).filter((line) => line.row >= 0 && line.band >= from);
  if (last) lines.reverse();
  for (const line of lines) {
    const width = cells.bands[line.band]!.columns.length;
    for (let k = 0; k < width; k++) {
      const position = { ...line, column: last ? width - 1 - k : k };
      if (exists(cells, position)) return position;
    }
  }
  return { band: 0, row: 0, column: 0 };
}

/** The cells of the rectangle between two positions of one band. */
export function block(cells: Cells, a: Position, b: Position): number[] {
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

function rowOf(cells: Cells, position: Position): Row | undefined {
  return cells.bands[position.band]?.rows[position.row];
}

function columnOf(cells: Cells, { band, column }: Position): Column | Handle | undefined {
  const shape = cells.bands[band];
  return handleAt(shape, column) ?? shape?.columns[column];
}

/** "l1h2" of a cell, "l1" of a row, "l1 attn" of a handle; "" where the grammar has no such word. */
export function wordOf(cells: Cells, position: Position): string {
  const row = rowOf(cells, position)?.word ?? "";
  if (position.row < 0) return "";
  return (row + (columnOf(cells, position)?.word ?? "")).trim();
}

/** "layer 1 head 2" of a cell, "layer 1" of a row, "layer 1 attention" of a handle, "head 2, every row" of a column. */
export function nameOf(cells: Cells, position: Position): string {
  const band = cells.bands[position.band];
  if (!band) return "";
  const row = rowOf(cells, position)?.name ?? "";
  const column = columnOf(cells, position)?.name ?? "";
  if (position.row >= 0) return `${row} ${column}`.trim();
  const group = position.row === -2 && groupAt(band, position.column);
  if (group) {
    const [first, last] = group.map((c) => band.columns[c]!);
    return `group ${first!.group}, heads ${first!.label} to ${last!.label}, every row`;
  }
  return column ? `${column}, every row` : `everything in ${band.title || "this block"}`;
}

/** "group 1, 4 heads" of a head that shares its key/value head with others. */
export function groupName(cells: Cells, { band, column }: Position): string {
  const group = groupAt(cells.bands[band], column);
  return group ? `group ${cells.bands[band]!.columns[column]!.group}, ${group[1] - group[0] + 1} heads` : "";
}

/** What a screen reader says of a position; of a cell that is colored, its value too. */
export function labelOf(cells: Cells, position: Position, on: BitSet, partial: BitSet, value = ""): string {
  const n = numberAt(cells, position);
  if (n >= 0) {
    const state = has(on, n) ? "selected" : has(partial, n) ? "partly selected" : "";
    const zero = has(cells.zero, n) ? "all output weights are zero" : "";
    return [nameOf(cells, position), state, zero, value, groupName(cells, position)]
      .filter(Boolean)
      .join(", ");
  }
  const members = membersOf(cells, position);
  const selected = members.filter((m) => has(on, m)).length;
  return `${nameOf(cells, position)}, ${selected} of ${members.length} selected`;
}
