/** Paints cells that are colored by a value; a selected one has a frame, because the fill is its value. */

import type { Palette } from "../dom/theme";
import { has } from "../model/bits";
import type { CellValues } from "../model/cell_values";
import { BEYOND, DOT, FRAME, FRAMED, HATCH, ROOMY } from "../model/style";
import { levelOf, scaleOf } from "./scales";
import type { Scene } from "./scene";
import { eachVisible } from "./scene";
import { box, type Context, hatch, type Path, tick, triangle } from "./shapes";

/** What is drawn upon a fill, in black or in white. */
interface Marks {
  stripes: Path;
  corners: Path;
  ticks: Path;
}

export function paintFills(
  context: Context,
  scene: Scene,
  b: number,
  palette: Palette,
  cellValues: CellValues,
): void {
  const { cells, geometry, on, partial } = scene;
  const { colors, marks: signs } = scaleOf(cellValues.diverging, palette.theme);
  const area = geometry.bands[b]!;
  const roomy = area.rowHeight >= ROOMY;
  const [line, gap] = roomy ? FRAME.roomy : FRAME.small;
  const marks = (): Marks => ({ stripes: scene.path(), corners: scene.path(), ticks: scene.path() });
  const fills = new Map<string, Path>();
  const upon = new Map<string, Marks>();
  const [edges, frames, gaps, dots] = Array.from({ length: 4 }, () => scene.path());
  const of = <T>(map: Map<string, T>, key: string, make: () => T): T => {
    const found = map.get(key) ?? make();
    map.set(key, found);
    return found;
  };
  eachVisible(scene, b, (n, rect) => {
    const value = cellValues.values[n]!;
    const missing = Number.isNaN(value);
    const level = missing ? 0 : levelOf(value, cellValues);
    const isOn = has(on, n);
    box(
      of(fills, missing ? palette.cell : colors[level]!, () => scene.path()),
      rect,
    );
    const sign = of(upon, missing ? palette.text : signs[level]!, marks);
    if (missing && !isOn && !area.labeled) {
      const [x, y] = [rect.x + rect.width / 2, rect.y + rect.height / 2];
      dots!.moveTo(x, y);
      dots!.arc(x, y, roomy ? DOT.roomy : DOT.small, 0, 7);
    }
    if (isOn) {
      box(frames!, rect, line / 2);
      box(gaps!, rect, line + gap / 2);
      // Below the bars of the saved selections.
      if (roomy && !area.labeled) tick(sign.ticks, scene.marks.length ? { ...rect, y: rect.y + 4 } : rect);
    } else box(edges!, rect, 0.5);
    if (!isOn && has(partial, n)) triangle(sign.corners, rect);
    if (value < cellValues.low || value > cellValues.high) {
      // Beyond the scale.
      const { inset } = BEYOND;
      const [x, y, side] = [rect.x + rect.width - inset, rect.y + inset, rect.height * BEYOND.side];
      sign.corners.moveTo(x - side, y);
      sign.corners.lineTo(x, y);
      sign.corners.lineTo(x, y + side);
    }
    if (has(cells.zero, n)) hatch(sign.stripes, rect);
  });
  for (const [color, path] of fills) {
    context.fillStyle = color;
    context.fill(path);
  }
  const stroke = (path: Path, color: string, lineWidth: number) => {
    context.strokeStyle = color;
    context.lineWidth = lineWidth;
    context.stroke(path);
  };
  if (area.rowHeight >= 9) stroke(edges!, palette.edge, 1);
  context.fillStyle = palette.muted;
  context.fill(dots!);
  for (const [color, { stripes, corners, ticks }] of upon) {
    context.globalAlpha = HATCH.alpha;
    stroke(stripes, color, 1);
    context.globalAlpha = 1;
    context.fillStyle = color;
    context.fill(corners);
    stroke(ticks, color, 1.75);
  }
  stroke(gaps!, palette.ground, gap);
  // Blue, as what is selected is without colors too; a cell that is all frame would look like a blue value.
  stroke(frames!, area.rowHeight >= FRAMED ? palette.on : palette.text, line);
}
