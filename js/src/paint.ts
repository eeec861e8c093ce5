/** Draws the visible part of the grid on a canvas. Reads everything, decides nothing. */
import { type BitSet, has } from "./bits";
import { type Cells, isAllOn, numberAt, type Spot, sameSpot } from "./cells";
import {
  type BandBox,
  columnsBetween,
  type Geometry,
  isUpright,
  labelStride,
  type Rect,
  RING,
  rectOf,
  rowsBetween,
} from "./geometry";
import type { Palette } from "./theme";

export interface Scene {
  cells: Cells;
  geometry: Geometry;
  on: BitSet;
  partial: BitSet;
  cursor: Spot | null;
  /** Whether the cursor is the keyboard's, or only marks the cell that is described. */
  focused: boolean;
  hover: Spot | null;
  scroll: { x: number; y: number };
  width: number;
  height: number;
  ratio: number;
}

type Context = CanvasRenderingContext2D;

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

function paintGroups(context: Context, area: BandBox, head: Rect, palette: Palette): void {
  const path = new Path2D();
  const y = head.y + head.height - 4.5;
  for (const [first, last] of area.groups) {
    const left = area.lefts[first]! + 0.5;
    const right = area.lefts[last]! + area.widths[last]! - 0.5;
    path.moveTo(left, y + 3);
    path.lineTo(left, y);
    path.lineTo(right, y);
    path.lineTo(right, y + 3);
  }
  context.strokeStyle = palette.group;
  context.lineWidth = 1;
  context.stroke(path);
}

/** Column headers, held at the top while their band is in view. */
function paintColumns(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, width, hover } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const measure = (text: string) => context.measureText(text).width;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const middle = head.y + (head.height - (area.groups.length ? 5 : 0)) / 2;
  context.fillStyle = palette.ground;
  // While the head rests in its place, the rings of the first row may reach into it.
  const resting = head.y === area.top ? RING : 0;
  context.fillRect(scroll.x, head.y, width, head.height - resting);
  const firstHead = band.columns.findIndex((column) => column.kind === "head");
  const stride = labelStride(band, geometry.cell + geometry.gap, measure);
  const [left, right] = columnsBetween(area, scroll.x, scroll.x + width);
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let column = left; column <= right; column++) {
    const { kind, label } = band.columns[column]!;
    const x = area.lefts[column]! + area.widths[column]! / 2;
    const hovered = hover?.band === b && hover.column === column;
    const near = hover?.band === b && hover.column >= 0 && Math.abs(hover.column - column) < stride;
    const place = column - firstHead;
    if (kind === "head" && stride > 1 && !hovered && (near || place % stride)) continue;
    context.fillStyle =
      hovered || isAllOn(cells, on, { band: b, row: -1, column }) ? palette.text : palette.muted;
    if (isUpright(band, area, column, geometry.gap, measure)) {
      context.save();
      context.translate(x, head.y + head.height - 5);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(label, 0, 0.5);
      context.restore();
    } else {
      context.fillText(label, x, middle);
    }
  }
  if (area.groups.length) paintGroups(context, area, head, palette);
}

/** Row headers, held at the left. */
function paintRows(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, height, hover } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  context.fillStyle = palette.ground;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const start = head.y + head.height;
  context.fillRect(scroll.x, start, geometry.side - (scroll.x ? 0 : RING), area.bottom - start);
  const [top, bottom] = rowsBetween(area, band.rows.length, scroll.y, scroll.y + height);
  const stride = Math.max(1, Math.ceil(12 / area.pitch));
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let row = top; row <= bottom; row++) {
    const hovered = hover?.band === b && hover.row === row;
    const near = hover?.band === b && hover.row >= 0 && Math.abs(hover.row - row) < stride;
    const y = area.rows + row * area.pitch + area.rowHeight / 2;
    if (y < start || (stride > 1 && !hovered && (near || row % stride))) continue;
    context.fillStyle =
      hovered || isAllOn(cells, on, { band: b, row, column: -1 }) ? palette.text : palette.muted;
    context.fillText(band.rows[row]!.label, scroll.x + geometry.side - 10, y + 0.5);
  }
}

function paintCorner(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, hover } = scene;
  const spot = { band: b, row: -1, column: -1 };
  const rect = rectOf(geometry, spot, scroll);
  context.fillStyle = palette.ground;
  context.fillRect(rect.x, rect.y, geometry.side - RING, rect.height - RING);
  const all = isAllOn(cells, on, spot);
  const path = new Path2D();
  const x = rect.x + geometry.side - 10;
  const y = rect.y + rect.height - 7;
  path.moveTo(x, y - 8);
  path.lineTo(x, y);
  path.lineTo(x - 8, y);
  path.closePath();
  context.fillStyle = all ? palette.on : sameSpot(hover, spot) ? palette.text : palette.line;
  context.fill(path);
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
  for (const { area, b } of visible) {
    if (area.labelled) continue;
    paintColumns(context, scene, b, palette);
    paintRows(context, scene, b, palette);
    paintCorner(context, scene, b, palette);
  }
  paintMark(context, scene, palette, true);
}
