/** Where everything lies, in CSS pixels of the scrolled content. Pure: text widths come from outside. */
import { type Cells, handlesOf, isLabeled, type Position } from "../model/cells";
import { clamp } from "../model/numbers";
import { AXIS, BAND_GAP, BRACKET, CAPTION, HEAD, LABELED, RING, ROOMY, SIDE } from "../model/style";
import { type ColumnBoxes, columnsOf, gapOf, isUpright, type Measure } from "./columns";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface BandBox extends ColumnBoxes {
  top: number;
  /** The column headers; no height where the cells carry their own labels. */
  head: number;
  /** The upper part of the headers, which names the blocks of columns; no height where there is nothing to name. */
  caption: number;
  /** The part of the headers below that, with the brackets over groups of heads; no height where there are none. */
  bracket: number;
  rows: number;
  rowHeight: number;
  pitch: number;
  bottom: number;
  labeled: boolean;
}

export interface Geometry {
  /** The side of a head's square. */
  cell: number;
  gap: number;
  /** The width of the row headers, the name of their axis included. */
  side: number;
  /** The room for the sums of rows and columns beside small cells; 0 where there are none. */
  sums: number;
  bands: BandBox[];
  width: number;
  height: number;
}

/** The sizes of cells that are chosen unasked: small enough to be many, and large enough to be clicked. */
export const SMALLEST = 7;
export const LARGEST = 34;

/** The length of the largest sum, with what keeps it off the cells. */
const SUMS = 18;

/** The geometry for heads of one size; `withSums` leaves room for the sums of rows and columns, where cells are small. */
export function layOut(cells: Cells, cell: number, measure: Measure, withSums = false): Geometry {
  const gap = gapOf(cell);
  const rowed = cells.bands.filter((band) => !isLabeled(band));
  const labels = rowed.flatMap((band) => band.rows.map((row) => measure(row.label)));
  const side = rowed.length ? Math.ceil(Math.max(SIDE.least, ...labels)) + SIDE.padding + AXIS : 2;
  const sums = withSums && cell < ROOMY ? SUMS : 0;
  let y = RING;
  const bands = cells.bands.map((band, b) => {
    const labeled = isLabeled(band);
    const columns = columnsOf(band, cell, side, measure);
    const upright = band.columns
      .filter((_, c) => !labeled && isUpright(band, columns, c, gap, measure))
      .map(({ label }) => label)
      .concat(labeled ? [] : handlesOf(band).map(({ label }) => label))
      .map(measure);
    const top = y + (b ? BAND_GAP : 0);
    const caption = columns.blocks.length ? CAPTION : 0;
    const bracket = columns.groups.length ? BRACKET : 0;
    const labels = Math.ceil(
      Math.max(caption ? HEAD.least : HEAD.named, ...upright.map((w) => w + HEAD.padding)),
    );
    const head = labeled ? 0 : caption + bracket + labels;
    const rowHeight = labeled ? LABELED.height : cell;
    const pitch = rowHeight + (labeled ? LABELED.gap : gap);
    const rows = top + head;
    const bottom = rows + band.rows.length * pitch - (pitch - rowHeight);
    y = bottom + (labeled ? 0 : sums);
    return { top, head, caption, bracket, rows, rowHeight, pitch, bottom, labeled, ...columns };
  });
  return {
    cell,
    gap,
    side,
    sums,
    bands,
    width: Math.max(0, ...bands.map((band) => band.right + (band.labeled ? 0 : sums))) + RING,
    height: y + RING,
  };
}

/** The top of a band's headers, captions included, where scrolling holds them. */
export function headTop(band: BandBox, scrollY: number): number {
  return Math.max(band.top, Math.min(scrollY, band.bottom - band.head - band.rowHeight));
}

/** The rectangle of a position, headers included, with the headers where scrolling holds them. */
export function rectOf(geometry: Geometry, position: Position, scroll = { x: 0, y: 0 }): Rect {
  const band = geometry.bands[position.band]!;
  const { row, column } = position;
  const top = headTop(band, scroll.y) + band.caption;
  const [x, width] =
    column === -1
      ? [scroll.x, geometry.side - 4]
      : column < -1
        ? [band.handleLefts[-2 - column]!, band.handleWidth]
        : [band.lefts[column]!, band.widths[column]!];
  if (row >= 0) return { x, width, y: band.rows + row * band.pitch, height: band.rowHeight };
  if (row === -1) return { x, width, y: top + band.bracket, height: band.head - band.caption - band.bracket };
  const last = band.groups.find(([first]) => first === column)?.[1] ?? column;
  return { x, width: band.lefts[last]! + band.widths[last]! - x, y: top, height: band.bracket };
}

/** The least rectangle around two. */
export function unionOf(a: Rect, b: Rect): Rect {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
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

/** The column or the handle that a pointer at x reaches; the nearest one outside. */
function reached({ reach }: BandBox, x: number): number {
  let k = reach.length - 1;
  while (k > 0 && x < reach[k]!.from) k--;
  return reach[k]!.column;
}

export function rowNear(geometry: Geometry, band: number, rowCount: number, y: number): number {
  const box = geometry.bands[band]!;
  const slack = (box.pitch - box.rowHeight) / 2;
  return clamp(Math.floor((y - box.rows + slack) / box.pitch), 0, rowCount - 1);
}

/** What lies under a point of the content; null between the bands, beside the cells and on a block's caption. */
export function hit(
  cells: Cells,
  geometry: Geometry,
  x: number,
  y: number,
  scroll = { x: 0, y: 0 },
): Position | null {
  for (const [b, box] of geometry.bands.entries()) {
    const top = headTop(box, scroll.y);
    const inHead = box.head > 0 && y >= top && y < top + box.head;
    if (!inHead && (y < box.top || y > box.bottom + 1)) continue;
    if (inHead && y < top + box.caption) return null;
    const inSide = !box.labeled && x < scroll.x + geometry.side - 2;
    if (!inSide && (x < box.reach[0]!.from - 4 || x > box.right + 2)) return null;
    const column = inSide ? -1 : reached(box, x);
    if (inHead && !inSide && y < top + box.caption + box.bracket) {
      const group = box.groups.find(([first, last]) => column >= first && column <= last);
      return group ? { band: b, row: -2, column: group[0] } : null;
    }
    return { band: b, row: inHead ? -1 : rowNear(geometry, b, cells.bands[b]!.rows.length, y), column };
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
