/** The scene that is painted: the cells with their state and geometry, and the part that is in view. */
import { type BitSet, has } from "../model/bits";
import type { CellValues } from "../model/cell_values";
import type { Cells, Position } from "../model/cells";
import type { PatternCells } from "../model/pattern_cells";
import type { Curve } from "./arrows";
import { columnsBetween, type Geometry, type Rect, rowsBetween } from "./geometry";
import type { Path } from "./shapes";

export interface Scene {
  cells: Cells;
  geometry: Geometry;
  on: BitSet;
  partial: BitSet;
  /** Values to color the cells by; null where the color tells whether a cell is selected. */
  cellValues: CellValues | null;
  /** Small attention patterns to be drawn in the cells, where these are large enough. */
  patterns?: PatternCells | null;
  arrows: readonly Curve[];
  /** The saved selections that are shown. */
  marks: readonly Mark[];
  cursor: Position | null;
  /** Whether the cursor is the keyboard's, or only marks the cell that is described. */
  focused: boolean;
  hover: Position | null;
  scroll: { x: number; y: number };
  width: number;
  height: number;
  ratio: number;
  /** The cells that are to be painted; all of them where it is left out. */
  only?: BitSet;
  /** The part of the content whose cells are to be painted; all that is in view where it is left out. */
  part?: Rect;
  /** The block of a running drag, to be framed. */
  frame?: Rect | null;
  /** A new path, of the kind that the context takes. */
  path(): Path;
}

/** A saved selection that is shown, as bars in its color. */
export interface Mark {
  color: string;
  bits: BitSet;
}

/** A run of pixels whose both ends lie on the device's. */
function snapped(from: number, size: number, ratio: number): [from: number, size: number] {
  if (Number.isInteger(ratio)) return [from, size];
  const start = Math.round(from * ratio) / ratio;
  return [start, Math.max(1 / ratio, Math.round((from + size) * ratio) / ratio - start)];
}

/** Visits the cells of a band that can be seen and that have something behind them, with where each is painted. */
export function eachVisible(scene: Scene, b: number, visit: (n: number, rect: Rect) => void): void {
  const { cells, geometry, only, ratio } = scene;
  const seen = scene.part ?? { ...scene.scroll, width: scene.width, height: scene.height };
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const [top, bottom] = rowsBetween(area, band.rows.length, seen.y, seen.y + seen.height);
  const [left, right] = columnsBetween(area, seen.x, seen.x + seen.width);
  const across = Array.from({ length: right + 1 }, (_, c) =>
    c < left ? null : snapped(area.lefts[c]!, area.widths[c]!, ratio),
  );
  for (let row = top; row <= bottom; row++) {
    const [y, tall] = snapped(area.rows + row * area.pitch, area.rowHeight, ratio);
    for (let column = left; column <= right; column++) {
      const n = cells.first[b]! + row * band.columns.length + column;
      if (has(cells.absent, n) || (only && !has(only, n))) continue;
      const [x, wide] = across[column]!;
      visit(n, { x, y, width: wide, height: tall });
    }
  }
}
