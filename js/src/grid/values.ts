/** Writes the values of cells into them, where these are large enough; over patterns that of the strongest alone. */

import type { Palette } from "../dom/theme";
import { has } from "../model/bits";
import type { CellValues } from "../model/cell_values";
import type { Cells } from "../model/cells";
import { inDigits } from "../model/numbers";
import { WRITTEN } from "../model/style";
import type { Rect } from "./geometry";
import { LEAST_PATTERN } from "./patterns";
import { levelOf, scaleOf } from "./scales";
import { eachVisible, type Scene } from "./scene";
import type { Context } from "./shapes";

/** What a cell has room for; the tooltip has a digit more. */
const DIGITS = 2;

const strongest = new WeakMap<CellValues, number>();

/** The cell with the largest value, or with the one furthest from zero on a scale of two sides; the first of several. */
export function strongestOf(cellValues: CellValues, cells: Cells): number {
  const found = strongest.get(cellValues);
  if (found !== undefined) return found;
  let [best, most] = [-1, Number.NEGATIVE_INFINITY];
  for (const [n, value] of cellValues.values.entries()) {
    const size = cellValues.diverging ? Math.abs(value) : value;
    if (size > most && has(cells.present, n)) [best, most] = [n, size];
  }
  strongest.set(cellValues, best);
  return best;
}

export function paintValues(
  context: Context,
  scene: Scene,
  b: number,
  palette: Palette,
  cellValues: CellValues,
): void {
  const { geometry, cells, patterns } = scene;
  const area = geometry.bands[b]!;
  if (area.labeled || area.rowHeight < WRITTEN.least) return;
  const { colors, marks } = scaleOf(cellValues.diverging, palette.theme);
  const best = strongestOf(cellValues, cells);
  const font = context.font;
  context.textAlign = "center";
  context.textBaseline = "middle";
  eachVisible(scene, b, (n, rect) => {
    if (Number.isNaN(cellValues.values[n]!)) return;
    const isCovered = geometry.cell >= LEAST_PATTERN && !!patterns?.of.has(n);
    if (isCovered && n !== best) return;
    context.font = n === best ? `bold ${font}` : font;
    const text = inDigits(cellValues.values[n]!, DIGITS);
    const wide = context.measureText(text).width + WRITTEN.padding;
    const level = levelOf(cellValues.values[n]!, cellValues);
    if (wide <= rect.width) {
      // A selected cell has its tick in the upper corner.
      const share = has(scene.on, n) ? WRITTEN.lower : 0.5;
      const middle = { x: rect.x + rect.width / 2, y: rect.y + rect.height * share };
      if (isCovered) middle.y = label(context, rect, wide, colors[level]!);
      context.fillStyle = marks[level]!;
      context.fillText(text, middle.x, middle.y + 0.5);
    }
    context.font = font;
  });
}

/** The ground of a value that is written over a pattern, at the foot of its cell; where the middle of it is. */
function label(context: Context, { x, y, width, height }: Rect, wide: number, color: string): number {
  const top = y + height - WRITTEN.foot - WRITTEN.height;
  context.fillStyle = color;
  context.fillRect(x + (width - wide) / 2, top, wide, WRITTEN.height);
  return top + WRITTEN.height / 2;
}
