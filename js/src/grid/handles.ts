/** Paints the handles: in every row a pill that is filled as far as its columns are selected. */

import type { Palette } from "../dom/theme";
import { handlesOf } from "../model/cells";
import { fullnessOf } from "../model/fullness";
import { tier } from "../model/numbers";
import { HANDLE_RADII, ROOMY } from "../model/style";
import { rectOf, rowsBetween } from "./geometry";
import type { Scene } from "./scene";
import type { Context } from "./shapes";

export function paintHandles(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, width, height, hover } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const { handles } = fullnessOf(cells, on)[b]!;
  const [top, bottom] = rowsBetween(area, band.rows.length, scroll.y, scroll.y + height);
  const [, round = 0] = tier(area.rowHeight, HANDLE_RADII);
  const [off, some, full, edges, hovered] = Array.from({ length: 5 }, () => scene.path());
  for (const h of handlesOf(band).keys()) {
    const column = -2 - h;
    if (area.handleLefts[h]! > scroll.x + width || area.handleLefts[h]! + area.handleWidth < scroll.x)
      continue;
    for (let row = top; row <= bottom; row++) {
      const level = handles[h]![row]!;
      if (level < 0) continue;
      const rect = rectOf(geometry, { band: b, row, column });
      const { x, y, width: wide, height: tall } = rect;
      (level === 2 ? full! : off!).roundRect(x, y, wide, tall, round);
      if (level === 1) some!.roundRect(x, y + tall / 2, wide, tall / 2, [0, 0, round, round]);
      if (level < 2) edges!.roundRect(x + 0.5, y + 0.5, wide - 1, tall - 1, Math.max(0, round - 0.5));
      if (hover?.band === b && hover.column === column && (hover.row < 0 || hover.row === row))
        hovered!.roundRect(x - 1, y - 1, wide + 2, tall + 2, round && round + 1);
    }
  }
  const fill = (path: typeof off, color: string) => {
    context.fillStyle = color;
    context.fill(path!);
  };
  fill(off, palette.cell);
  fill(some, palette.partial);
  fill(full, palette.on);
  context.lineWidth = 1;
  context.strokeStyle = area.rowHeight >= ROOMY ? palette.group : palette.edge;
  context.stroke(edges!);
  context.lineWidth = 1.5;
  context.strokeStyle = palette.hover;
  context.stroke(hovered!);
}
