/** Where everything lies, in CSS pixels of the scrolled content. Pure: text widths come from outside. */
import { type Cells, isLabelled, type Spot } from "./cells";
import type { Band } from "./wire";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface BandBox {
  top: number;
  /** The column headers; no height where the cells carry their own labels. */
  head: number;
  rows: number;
  rowHeight: number;
  pitch: number;
  lefts: number[];
  widths: number[];
  right: number;
  bottom: number;
  labelled: boolean;
  /** Each run of neighbouring heads that read one key/value head: first and last column. */
  groups: [number, number][];
  title: string;
}

export interface Geometry {
  /** The side of a head's square. */
  cell: number;
  gap: number;
  /** The width of the row headers. */
  side: number;
  bands: BandBox[];
  width: number;
  height: number;
}

export const SMALLEST = 7;
export const LARGEST = 34;
const COMFORTABLE = 20;
const ROOMY = 12;
const PILL = 26;
const BAND_GAP = 10;
const TITLE = 20;
/** Room for a focus ring at the outer edge. */
export const RING = 3;

type Measure = (text: string) => number;

function gapOf(cell: number): number {
  return cell >= 18 ? 3 : cell >= 10 ? 2 : 1;
}

/** Runs of heads with the same group, where any run has more than one head. */
export function groupsOf(band: Band): [number, number][] {
  const runs: [number, number][] = [];
  band.columns.forEach((column, c) => {
    const last = runs.at(-1);
    if (column.kind !== "head" || column.group < 0) return;
    if (last && last[1] === c - 1 && band.columns[c - 1]!.group === column.group) last[1] = c;
    else runs.push([c, c]);
  });
  return runs.some(([a, b]) => b > a) ? runs : [];
}

function columnsOf(band: Band, cell: number, left: number, measure: Measure) {
  const gap = gapOf(cell);
  const labelled = isLabelled(band);
  const groups = groupsOf(band);
  const starts = new Set(groups.map(([a]) => a));
  const lefts: number[] = [];
  const widths: number[] = [];
  let x = left;
  band.columns.forEach((column, c) => {
    const before = band.columns[c - 1];
    if (before) {
      const heads = before.kind === "head" || column.kind === "head";
      if (labelled) x += 6;
      else if (before.kind !== column.kind && heads) x += gap + Math.max(4, Math.round(cell / 4));
      else x += gap + (starts.has(c) ? Math.max(2, Math.round(cell / 6)) : 0);
    }
    // Roomy cells leave room for a label; narrow ones set it upright.
    const label = cell >= ROOMY ? Math.ceil(measure(column.label)) + 2 : 0;
    let width = cell;
    if (labelled) width = Math.ceil(measure(column.label)) + 24;
    else if (column.kind === "mlp" || column.kind === "expert")
      width = Math.max(12, label, Math.round(cell * 1.5));
    else if (column.kind !== "head") width = Math.max(10, label, Math.round(cell * 0.7));
    lefts.push(x);
    widths.push(width);
    x += width;
  });
  return { lefts, widths, right: x, groups, labelled, gap };
}

/** Whether a column's label has to stand upright because it is wider than its column. */
export function isUpright(
  band: Band,
  box: { widths: number[] },
  column: number,
  gap: number,
  measure: Measure,
): boolean {
  const { kind, label } = band.columns[column]!;
  return kind !== "head" && measure(label) > box.widths[column]! + gap;
}

/** How many heads share one label, so that neighbouring labels keep apart. */
export function labelStride(band: Band, pitch: number, measure: Measure): number {
  const widest = Math.max(0, ...band.columns.filter((c) => c.kind === "head").map((c) => measure(c.label)));
  for (const stride of [1, 2, 4, 8, 16, 32]) if (widest + 5 <= stride * pitch) return stride;
  return 64;
}

/** The geometry for heads of one size. */
export function layOut(cells: Cells, cell: number, measure: Measure): Geometry {
  const gap = gapOf(cell);
  const rowed = cells.bands.filter((band) => !isLabelled(band));
  const labels = rowed.flatMap((band) => band.rows.map((row) => measure(row.label)));
  const side = rowed.length ? Math.ceil(Math.max(16, ...labels)) + 12 : 2;
  let y = RING;
  const bands = cells.bands.map((band, b) => {
    const { groups, labelled, ...columns } = columnsOf(band, cell, side, measure);
    const upright = band.columns
      .filter((_, c) => !labelled && isUpright(band, columns, c, gap, measure))
      .map((column) => measure(column.label));
    const title = !labelled && rowed.length > 1 ? band.title : "";
    const top = y + (b ? BAND_GAP : 0) + (title ? TITLE : 0);
    const head = labelled
      ? 0
      : Math.ceil(Math.max(18, ...upright.map((w) => w + 8))) + (groups.length ? 5 : 0);
    const rowHeight = labelled ? PILL : cell;
    const pitch = rowHeight + (labelled ? 6 : gap);
    const rows = top + head;
    const bottom = rows + band.rows.length * pitch - (pitch - rowHeight);
    y = bottom;
    return { top, head, rows, rowHeight, pitch, bottom, labelled, groups, title, ...columns };
  });
  return {
    cell,
    gap,
    side,
    bands,
    width: Math.max(0, ...bands.map((band) => band.right)) + 3,
    height: y + RING,
  };
}

/** The largest comfortable cells that fit the width, and, as long as they stay comfortable, the height too. */
export function arrange(cells: Cells, width: number, height: number, measure: Measure): Geometry {
  let cell = LARGEST;
  let geometry = layOut(cells, cell, measure);
  while (cell > SMALLEST && (geometry.width > width || (geometry.height > height && cell > COMFORTABLE))) {
    geometry = layOut(cells, --cell, measure);
  }
  return geometry;
}

/** The rectangle of a spot, headers included, with the headers where scrolling holds them. */
export function rectOf(geometry: Geometry, spot: Spot, scroll = { x: 0, y: 0 }): Rect {
  const band = geometry.bands[spot.band]!;
  const headTop = Math.max(band.top, Math.min(scroll.y, band.bottom - band.head - band.rowHeight));
  return {
    x: spot.column < 0 ? scroll.x : band.lefts[spot.column]!,
    y: spot.row < 0 ? headTop : band.rows + spot.row * band.pitch,
    width: spot.column < 0 ? geometry.side - 4 : band.widths[spot.column]!,
    height: spot.row < 0 ? band.head : band.rowHeight,
  };
}

/** The index whose cell, with half of the gap on either side, holds x; the nearest one outside. */
function nearest(lefts: number[], widths: number[], x: number): number {
  let low = 0;
  let high = lefts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const edge = (lefts[middle - 1]! + widths[middle - 1]! + lefts[middle]!) / 2;
    if (x >= edge) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function columnNear(geometry: Geometry, band: number, x: number): number {
  const box = geometry.bands[band]!;
  return nearest(box.lefts, box.widths, x);
}

export function rowNear(geometry: Geometry, band: number, rowCount: number, y: number): number {
  const box = geometry.bands[band]!;
  const slack = (box.pitch - box.rowHeight) / 2;
  return Math.max(0, Math.min(rowCount - 1, Math.floor((y - box.rows + slack) / box.pitch)));
}

/** What lies under a point of the content; null between the bands and beside the cells. */
export function hit(
  cells: Cells,
  geometry: Geometry,
  x: number,
  y: number,
  scroll = { x: 0, y: 0 },
): Spot | null {
  for (const [b, box] of geometry.bands.entries()) {
    const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
    const inHead = box.head > 0 && y >= head.y && y < head.y + box.head;
    if (!inHead && (y < box.top || y > box.bottom + 1)) continue;
    const column = columnNear(geometry, b, x);
    const inSide = !box.labelled && x < scroll.x + geometry.side - 2;
    if (!inSide && (x < box.lefts[0]! - 4 || x > box.right + 2)) return null;
    if (inHead) return { band: b, row: -1, column: inSide ? -1 : column };
    const row = rowNear(geometry, b, cells.bands[b]!.rows.length, y);
    return { band: b, row, column: inSide ? -1 : column };
  }
  return null;
}

/** The first and the last row of a band between two heights; the first is after the last where there are none. */
export function rowsBetween(box: BandBox, count: number, top: number, bottom: number): [number, number] {
  return [
    Math.max(0, Math.floor((top - box.rows) / box.pitch)),
    Math.min(count - 1, Math.floor((bottom - box.rows) / box.pitch)),
  ];
}

export function columnsBetween(box: BandBox, left: number, right: number): [number, number] {
  let first = 0;
  let last = box.lefts.length - 1;
  while (first <= last && box.lefts[first]! + box.widths[first]! < left) first++;
  while (last >= first && box.lefts[last]! > right) last--;
  return [first, last];
}
