/** The state of one view, which never crosses the wire: stack, cursor, hover, a running brush, settings. */

import type { BitSet } from "./bits";
import { type Cells, endCell, type Position } from "./cells";
import type { ScaleEnds } from "./ranking";
import type { Brush } from "./selection";
import { cellsOf } from "./stacks";
import { ARROWS } from "./style";
import type { Arrow } from "./wire";

/** "whole": the whole grid. "readable": cells of a readable size, which may have to be scrolled. A number: that size. */
export type Zoom = "whole" | "readable" | number;

/** Which side of a singular direction the inspector shows: the largest logits, or the smallest. */
export type Sign = 1 | -1;

/** The settings of the inspector, which stay from cell to cell. */
export interface InspectorSettings {
  /** The tab that was chosen last, whether or not the present cell has it; "" before one was. */
  tab: string;
  sign: Sign;
  /** Whether the scores are explained. */
  explains: boolean;
}

/** Which of the arrows are drawn. */
export interface ArrowChoice {
  shown: boolean;
  /** The least z. */
  z: number;
  kinds: Record<Arrow["kind"], boolean>;
}

/** The cursor, and whether it was ever moved; until then it is not shown. */
interface CursorState {
  cursor: Position;
  visited: boolean;
}

export interface View extends CursorState {
  inspector: InspectorSettings;
  arrows: ArrowChoice;
  /** The name of the stack that is shown. */
  stack: string;
  /** Its cells, which is all that is drawn, pointed at and reached by keys. */
  cells: Cells;
  /** Where the cursor was in the stacks that were shown before. */
  cursors: Map<string, CursorState>;
  zoom: Zoom;
  /** The ends of the scale of the colors that were chosen here, and the metric whose they are. */
  scale: (ScaleEnds & { of: string }) | null;
  /** Whether clicks look at cells, and select nothing. */
  looking: boolean;
  /** Whether the cells show attention patterns. */
  patterns: boolean;
  /** The names of the saved selections that are shown. */
  marks: string[];
  hover: Position | null;
  /** The corner that Shift extends from. */
  anchor: Position | null;
  /** The cells as they were before Shift began to extend, so that a block can shrink again. */
  base: BitSet | null;
  brush: Brush | null;
  /** Whether a key took the cursor where it is. */
  byKey: boolean;
  /** Whether the grid has the keyboard. */
  focused: boolean;
  /** Whether the kernel answers; without it the widget shows its last state. */
  live: boolean;
}

/** The cursor starts on the first cell of the layers, where the heads are. */
function startOf(cells: Cells): CursorState {
  const layers = cells.bands.findIndex((band) => band.rows.some((row) => row.word !== ""));
  return { cursor: endCell(cells, false, Math.max(0, layers)), visited: false };
}

export function newView(all: Cells, stack: string): View {
  const cells = cellsOf(all, stack);
  return {
    ...startOf(cells),
    inspector: { tab: "", sign: 1, explains: false },
    arrows: { shown: true, z: ARROWS.z, kinds: { Q: true, K: true, V: true } },
    stack,
    cells,
    cursors: new Map(),
    zoom: "whole",
    scale: null,
    looking: false,
    patterns: false,
    marks: [],
    hover: null,
    anchor: null,
    base: null,
    brush: null,
    byKey: false,
    focused: false,
    live: true,
  };
}

/** Shows another stack, with the cursor where it was when that stack was last shown. */
export function showStack(view: View, all: Cells, stack: string): void {
  view.cursors.set(view.stack, { cursor: view.cursor, visited: view.visited });
  const cells = cellsOf(all, stack);
  const cursor = view.cursors.get(stack) ?? startOf(cells);
  Object.assign(view, { ...cursor, stack, cells, hover: null, anchor: null, base: null, brush: null });
}

/** Shows cells that came anew: the same ones, some of which write nothing now, or others, with which all begins anew. */
export function showCells(view: View, all: Cells, stack: () => string): void {
  const { live, focused, inspector, arrows, marks } = view;
  if (view.cells.count === all.count) view.cells = cellsOf(all, view.stack);
  else Object.assign(view, newView(all, stack()), { live, focused, inspector, arrows, marks });
}
