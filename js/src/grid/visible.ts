/** The cells that lie in view. */
import { has } from "../model/bits";
import { columnsBetween, type Rect, rowsBetween } from "./geometry";
import type { Scene } from "./headers";

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
