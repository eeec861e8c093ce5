/**
 * What a screen reader sees: a grid of real elements exactly over the painted cells.
 *
 * Only a window around the cursor exists, because sixteen thousand elements would take a browser seconds. A model of up
 * to 14 layers with 16 heads is there as a whole.
 */
import type { BitSet } from "./bits";
import { has } from "./bits";
import {
  type Cells,
  isLabelled,
  type Line,
  labelOf,
  linesOf,
  numberAt,
  type Spot,
  sameSpot,
  wordOf,
} from "./cells";
import { make } from "./dom";
import { type Geometry, rectOf } from "./geometry";

const LINES = 18;
const COLUMNS = 24;
const MARGIN = 2;

/** The window of `size` out of `count` that holds `at`, moved from where it was only as far as needed. */
export function slide(start: number, at: number, size: number, count: number): number {
  let next = start;
  if (at < next + MARGIN) next = at - (size >> 1);
  else if (at >= next + size - MARGIN) next = at - (size >> 1);
  return Math.max(0, Math.min(next, count - size));
}

export interface LayerState {
  cells: Cells;
  geometry: Geometry;
  on: BitSet;
  partial: BitSet;
  cursor: Spot;
  scroll: { x: number; y: number };
  /** A cell's value in words; "" where there is none to tell. */
  said(cell: number): string;
}

export class Layer {
  #key = "";
  #top = 0;
  #left = 0;
  #cells: Cells | null = null;
  #lines: Line[] = [];
  #nodes: { spot: Spot; node: HTMLElement }[] = [];
  readonly #grid: HTMLElement;
  readonly #id: string;

  constructor(grid: HTMLElement, id: string) {
    this.#grid = grid;
    this.#id = id;
  }

  update(state: LayerState): void {
    const { cells, geometry, on, partial, cursor, scroll, said } = state;
    if (cells !== this.#cells) this.#start(cells);
    const at = this.#lines.findIndex((line) => line.band === cursor.band && line.row === cursor.row);
    this.#top = slide(this.#top, at, LINES, this.#lines.length);
    this.#left = slide(this.#left, cursor.column, COLUMNS, cells.bands[cursor.band]?.columns.length ?? 0);
    const key = `${this.#top} ${this.#left} ${cursor.band}`;
    if (key !== this.#key) this.#build(cells, cursor.band);
    this.#key = key;
    for (const { spot, node } of this.#nodes) {
      const rect = rectOf(geometry, spot, scroll);
      const isCell = spot.row >= 0 && spot.column >= 0;
      const label = labelOf(cells, spot, on, partial, said(numberAt(cells, spot)));
      if (node.ariaLabel !== label) node.ariaLabel = label;
      if (isCell) node.ariaSelected = String(has(on, numberAt(cells, spot)));
      const style = `left:${rect.x}px;top:${rect.y}px;width:${rect.width}px;height:${rect.height}px`;
      if (node.dataset.at !== style) {
        node.dataset.at = style;
        node.style.cssText = style;
      }
      if (sameSpot(spot, cursor)) this.#grid.setAttribute("aria-activedescendant", node.id);
    }
  }

  #start(cells: Cells): void {
    this.#cells = cells;
    this.#key = "";
    this.#lines = linesOf(cells);
    const widest = Math.max(0, ...cells.bands.map((band) => band.columns.length));
    this.#grid.ariaRowCount = String(this.#lines.length);
    this.#grid.ariaColCount = String(widest + 1);
  }

  #build(cells: Cells, cursorBand: number): void {
    this.#nodes = [];
    const rows: HTMLElement[] = [];
    for (const [index, line] of this.#lines.entries()) {
      const inside = index >= this.#top && index < this.#top + LINES;
      if (inside || (line.row < 0 && line.band === cursorBand)) rows.push(this.#row(cells, line, index));
    }
    this.#grid.replaceChildren(...rows);
  }

  #row(cells: Cells, line: Line, index: number): HTMLElement {
    const row = make("div", { role: "row", "aria-rowindex": index + 1 });
    const band = cells.bands[line.band]!;
    const count = band.columns.length;
    const left = Math.max(0, Math.min(this.#left, count - COLUMNS));
    const columns = Array.from({ length: Math.min(COLUMNS, count) }, (_, k) => left + k);
    if (!isLabelled(band)) columns.unshift(-1);
    for (const column of columns) {
      const spot = { ...line, column };
      const n = numberAt(cells, spot);
      if (line.row >= 0 && column >= 0 && n < 0) continue;
      row.append(this.#node(cells, spot, n));
    }
    return row;
  }

  #node(cells: Cells, spot: Spot, n: number): HTMLElement {
    const { band, row, column } = spot;
    const role = row < 0 ? "columnheader" : column < 0 ? "rowheader" : "gridcell";
    const shape = cells.bands[band]!;
    const text =
      row < 0 ? (shape.columns[column]?.label ?? shape.title) : column < 0 ? shape.rows[row]!.label : "";
    const attributes = {
      role,
      id: `${this.#id}-${band}-${row + 1}-${column + 1}`,
      class: "hg-spot",
      "aria-colindex": column + 2,
      "data-band": band,
      "data-cell": role === "gridcell" ? n : undefined,
      "data-word": role === "gridcell" ? wordOf(cells, spot) : undefined,
      "data-row": column < 0 ? row : undefined,
      "data-column": row < 0 ? column : undefined,
    };
    const node = make("div", attributes, text);
    this.#nodes.push({ spot, node });
    return node;
  }
}
