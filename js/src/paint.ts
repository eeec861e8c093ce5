/** Draws the visible part of the grid on a canvas. Reads everything, decides nothing. */
import { has } from "./bits";
import { numberAt, type Spot } from "./cells";
import { columnsBetween, type Rect, rectOf, rowsBetween } from "./geometry";
import { type Context, paintHeaders, type Scene } from "./headers";
import type { Palette } from "./theme";

function roundness(side: number): number {
  return side >= 18 ? 5 : side >= 12 ? 3 : side >= 9 ? 2 : 0;
}

function box(path: Path2D, { x, y, width, height }: Rect, inset = 0): void {
  const radius = Math.max(0, roundness(Math.min(width, height)) - inset);
  const sides = [x + inset, y + inset, width - 2 * inset, height - 2 * inset] as const;
  if (radius > 0) path.roundRect(...sides, radius);
  else path.rect(...sides);
}

function triangle(path: Path2D, { x, y, width, height }: Rect): void {
  const radius = roundness(Math.min(width, height)) / 2;
  path.moveTo(x, y + radius);
  path.lineTo(x + width - radius, y + height);
  path.lineTo(x + radius, y + height);
  path.quadraticCurveTo(x, y + height, x, y + height - radius);
  path.closePath();
}

function hatch(path: Path2D, { x, y, width, height }: Rect): void {
  const step = Math.max(4, Math.min(width, height) / 4);
  for (let d = step; d < width + height; d += step) {
    path.moveTo(x + Math.max(0, d - height), y + Math.min(d, height));
    path.lineTo(x + Math.min(d, width), y + Math.max(0, d - width));
  }
}

/** The cells of one band, gathered by state so that each state is filled once. */
function paintCells(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, partial, scroll, width, height } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const [top, bottom] = rowsBetween(area, band.rows.length, scroll.y, scroll.y + height);
  const [left, right] = columnsBetween(area, scroll.x, scroll.x + width);
  const [off, edges, full, corner, stripes, stripesOn] = Array.from({ length: 6 }, () => new Path2D());
  const columns = band.columns.length;
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const n = cells.first[b]! + row * columns + column;
      if (has(cells.absent, n)) continue;
      const rect = {
        x: area.lefts[column]!,
        y: area.rows + row * area.pitch,
        width: area.widths[column]!,
        height: area.rowHeight,
      };
      const isOn = has(on, n);
      box(isOn ? full! : off!, rect);
      if (!isOn) box(edges!, rect, 0.5);
      if (!isOn && has(partial, n)) triangle(corner!, rect);
      if (has(cells.zero, n)) hatch(isOn ? stripesOn! : stripes!, rect);
    }
  }
  // Small cells are told apart by their fill alone, unless the system forbids a fill.
  const bordered = area.rowHeight >= 12 || palette.cell === palette.ground;
  context.fillStyle = bordered ? palette.cell : palette.edge;
  context.fill(off!);
  if (bordered) {
    context.lineWidth = 1;
    context.strokeStyle = palette.edge;
    context.stroke(edges!);
  }
  context.fillStyle = palette.on;
  context.fill(full!);
  context.lineWidth = 1;
  context.strokeStyle = palette.hatch;
  context.stroke(stripes!);
  context.strokeStyle = palette.mark;
  context.stroke(stripesOn!);
  context.fillStyle = palette.partial;
  context.fill(corner!);
}

function paintLabels(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on } = scene;
  const band = cells.bands[b]!;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < band.rows.length; row++) {
    for (const [column, { label }] of band.columns.entries()) {
      const spot = { band: b, row, column };
      const n = numberAt(cells, spot);
      if (n < 0) continue;
      const rect = rectOf(geometry, spot);
      context.fillStyle = has(on, n) ? palette.mark : palette.text;
      context.fillText(label, rect.x + rect.width / 2, rect.y + rect.height / 2 + 0.5);
    }
  }
}

function ring(context: Context, rect: Rect, colour: string, outset: number, lineWidth: number): void {
  const path = new Path2D();
  const radius = Math.max(2, roundness(Math.min(rect.width, rect.height)) + outset);
  path.roundRect(rect.x - outset, rect.y - outset, rect.width + 2 * outset, rect.height + 2 * outset, radius);
  context.strokeStyle = colour;
  context.lineWidth = lineWidth;
  context.stroke(path);
}

function paintMark(context: Context, scene: Scene, palette: Palette, headers: boolean): void {
  const { geometry, cursor, hover, focused, scroll } = scene;
  const isHeader = (spot: Spot) => spot.row < 0 || spot.column < 0;
  if (hover && isHeader(hover) === headers && (headers || numberAt(scene.cells, hover) >= 0)) {
    if (!headers) ring(context, rectOf(geometry, hover, scroll), palette.hover, 0.75, 1.5);
  }
  if (cursor && isHeader(cursor) === headers && (headers || numberAt(scene.cells, cursor) >= 0)) {
    const rect = rectOf(geometry, cursor, scroll);
    if (!focused) {
      if (!headers) ring(context, rect, palette.hover, 1, 1);
      return;
    }
    const inside = headers ? -1.5 : 0.5;
    ring(context, rect, palette.ground, inside, 3.5);
    ring(context, rect, palette.cursor, headers ? inside : 1.25, 2);
  }
}

export function paint(context: Context, scene: Scene, palette: Palette): void {
  const { geometry, scroll, width, height, ratio } = scene;
  // An opaque ground, so that the headers laid over it leave no seams at a fractional pixel ratio.
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, Math.ceil(width * ratio), Math.ceil(height * ratio));
  context.setTransform(ratio, 0, 0, ratio, -scroll.x * ratio, -scroll.y * ratio);
  context.font = palette.font;
  const visible = geometry.bands
    .map((area, b) => ({ area, b }))
    .filter(({ area }) => area.bottom >= scroll.y && area.top - 24 <= scroll.y + height);
  for (const { area, b } of visible) {
    paintCells(context, scene, b, palette);
    if (area.labelled) paintLabels(context, scene, b, palette);
    if (area.title) {
      context.fillStyle = palette.muted;
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.fillText(area.title, scroll.x + 2, area.top - 10);
    }
  }
  paintMark(context, scene, palette, false);
  for (const { area, b } of visible) if (!area.labelled) paintHeaders(context, scene, b, palette);
  paintMark(context, scene, palette, true);
}
