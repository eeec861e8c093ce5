/** The cells that lie in view. */
import { has } from "./bits";
import { columnsBetween, type Rect, rowsBetween } from "./geometry";
import type { Scene } from "./headers";

/** Visits the cells of a band that can be seen and that have something behind them, with where each is painted. */
export function eachVisible(scene: Scene, b: number, visit: (n: number, rect: Rect) => void): void {
  const { cells, geometry, scroll, width, height } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const [top, bottom] = rowsBetween(area, band.rows.length, scroll.y, scroll.y + height);
  const [left, right] = columnsBetween(area, scroll.x, scroll.x + width);
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const n = cells.first[b]! + row * band.columns.length + column;
      if (has(cells.absent, n)) continue;
      visit(n, {
        x: area.lefts[column]!,
        y: area.rows + row * area.pitch,
        width: area.widths[column]!,
        height: area.rowHeight,
      });
    }
  }
}
