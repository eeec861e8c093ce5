/**
 * The ARIA grid: real elements exactly over the painted cells, for screen readers.
 *
 * Only a window around the cursor exists, because sixteen thousand elements would take a browser seconds. A model of up
 * to 14 layers with 16 heads is there as a whole.
 */

import { make } from "../dom/elements";
import type { BitSet } from "../model/bits";
import { has } from "../model/bits";
import { type CellValues, valueText } from "../model/cell_values";
import {
  type Cells,
  exists,
  groupAt,
  handleAt,
  type Line,
  labelOf,
  linesOf,
  numberAt,
  orderOf,
  type Position,
  samePosition,
  wordOf,
} from "../model/cells";
import { type Geometry, rectOf } from "./geometry";

const LINES = 18;
const COLUMNS = 24;
const MARGIN = 2;

/** Sets what changed only: whoever watches the tree is told of every setting. */
export function setAttribute(node: Element, name: string, value: string | number | boolean): void {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

const isCell = ({ row, column }: Position) => row >= 0 && column >= 0;

/** The window of `size` out of `count` that holds `at`, moved from where it was only as far as needed. */
export function slide(start: number, at: number, size: number, count: number): number {
  let next = start;
  if (at < next + MARGIN) next = at - (size >> 1);
  else if (at >= next + size - MARGIN) next = at - (size >> 1);
  return Math.max(0, Math.min(next, count - size));
}

export interface AriaGridState {
  cells: Cells;
  geometry: Geometry;
  on: BitSet;
  partial: BitSet;
  cursor: Position;
  scroll: { x: number; y: number };
  cellValues: CellValues | null;
}

/** What the labels say, and where the elements are. */
const LABELED = ["cells", "geometry", "on", "partial", "cellValues", "cursor"] as const;

export class AriaGrid {
  #key = "";
  #top = 0;
  #left = 0;
  #cells: Cells | null = null;
  #lines: Line[] = [];
  #last: AriaGridState | null = null;
  #nodes: { position: Position; node: HTMLElement }[] = [];
  readonly #positions = new WeakMap<Element, Position>();
  readonly #grid: HTMLElement;
  readonly #id: string;
  readonly #described: string;

  /** `described` is the id of what describes the cursor's cell. */
  constructor(grid: HTMLElement, id: string, described: string) {
    this.#grid = grid;
    this.#id = id;
    this.#described = described;
  }

  /** The position of an element of this grid. */
  positionOf(node: Element): Position | null {
    return this.#positions.get(node) ?? null;
  }

  update(state: AriaGridState): void {
    const { cells, cursor, scroll } = state;
    const last = this.#last;
    if (cells !== this.#cells) this.#start(cells);
    const at = this.#lines.findIndex((line) => line.band === cursor.band && line.row === cursor.row);
    const order = cells.bands[cursor.band] ? orderOf(cells.bands[cursor.band]!) : [];
    this.#top = slide(this.#top, at, LINES, this.#lines.length);
    this.#left = slide(this.#left, order.indexOf(cursor.column), COLUMNS, order.length);
    const key = `${this.#top} ${this.#left} ${cursor.band}`;
    const isNew = key !== this.#key;
    if (isNew) this.#build(cells, cursor.band);
    this.#key = key;
    this.#last = state;
    if (isNew || !last || LABELED.some((name) => last[name] !== state[name]))
      for (const one of this.#nodes) this.#label(one, state);
    else if (last.scroll.x !== scroll.x || last.scroll.y !== scroll.y)
      // Only headers move while the grid scrolls under them.
      for (const one of this.#nodes) if (!isCell(one.position)) this.#position(one, state);
  }

  #label(one: { position: Position; node: HTMLElement }, state: AriaGridState): void {
    const { cells, on, partial, cellValues, cursor } = state;
    const { position, node } = one;
    const n = numberAt(cells, position);
    const label = labelOf(cells, position, on, partial, valueText(cellValues, n));
    setAttribute(node, "aria-label", label);
    if (n >= 0) setAttribute(node, "aria-selected", has(on, n));
    if (samePosition(position, cursor)) {
      setAttribute(this.#grid, "aria-activedescendant", node.id);
      setAttribute(node, "aria-describedby", this.#described);
    } else node.removeAttribute("aria-describedby");
    this.#position(one, state);
  }

  #position(
    { position, node }: { position: Position; node: HTMLElement },
    { geometry, scroll }: AriaGridState,
  ): void {
    const { x, y, width, height } = rectOf(geometry, position, scroll);
    const style = `left:${x}px;top:${y}px;width:${width}px;height:${height}px`;
    if (node.dataset.at === style) return;
    node.dataset.at = style;
    node.style.cssText = style;
  }

  #start(cells: Cells): void {
    this.#cells = cells;
    this.#key = "";
    this.#lines = linesOf(cells);
    const widest = Math.max(0, ...cells.bands.map((band) => orderOf(band).length));
    setAttribute(this.#grid, "aria-rowcount", this.#lines.length);
    setAttribute(this.#grid, "aria-colcount", widest + 1);
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
    const order = orderOf(cells.bands[line.band]!);
    const left = Math.max(0, Math.min(this.#left, order.length - COLUMNS));
    const indices = Array.from({ length: Math.min(COLUMNS, order.length) }, (_, k) => left + k);
    for (const index of [-1, ...indices]) {
      const position = { ...line, column: order[index] ?? -1 };
      if (exists(cells, position)) row.append(this.#node(cells, position, index));
    }
    return row;
  }

  #node(cells: Cells, position: Position, index: number): HTMLElement {
    const { band, row, column } = position;
    const role = row < 0 ? "columnheader" : column < 0 ? "rowheader" : "gridcell";
    const shape = cells.bands[band]!;
    const group = row === -2 ? groupAt(shape, column) : null;
    const { label } =
      row < 0
        ? (handleAt(shape, column) ?? shape.columns[column] ?? { label: shape.title })
        : { label: column === -1 ? shape.rows[row]!.label : (handleAt(shape, column)?.label ?? "") };
    const attributes = {
      role,
      id: `${this.#id}-${band}-${row + 2}-${index + 1}`,
      class: "hg-position",
      "aria-colindex": index + 2,
      "aria-colspan": group ? group[1] - group[0] + 1 : undefined,
      "data-band": band,
      "data-cell": isCell(position) ? numberAt(cells, position) : undefined,
      "data-word": row >= 0 && column !== -1 ? wordOf(cells, position) : undefined,
      "data-row": column === -1 ? row : undefined,
      "data-column": row === -1 && column >= -1 ? column : undefined,
    };
    const node = make("div", attributes, label);
    this.#nodes.push({ position, node });
    this.#positions.set(node, position);
    return node;
  }
}
