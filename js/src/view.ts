/** What belongs to one view and never crosses the wire: cursor, hover, anchor, a running brush. */
import type { BitSet } from "./bits";
import type { Cells, Spot } from "./cells";
import { endOf } from "./keyboard";
import type { Brush } from "./selection";

export interface View {
  cursor: Spot;
  hover: Spot | null;
  /** The corner that Shift extends from. */
  anchor: Spot | null;
  /** The cells as they were before Shift began to extend, so that a block can shrink again. */
  base: BitSet | null;
  brush: Brush | null;
  /** Whether the cursor was ever moved; until then it is not shown. */
  visited: boolean;
  /** Whether the grid has the keyboard. */
  focused: boolean;
  /** Whether the kernel answers; without it the widget shows its last state. */
  live: boolean;
}

/** The cursor starts on the first cell of the layers, where the heads are. */
export function newView(cells: Cells): View {
  const layers = cells.bands.findIndex((band) => band.rows.some((row) => row.word !== ""));
  const cursor = layers > 0 ? { band: layers, row: 0, column: 0 } : endOf(cells, false);
  return {
    cursor,
    hover: null,
    anchor: null,
    base: null,
    brush: null,
    visited: false,
    focused: false,
    live: true,
  };
}
