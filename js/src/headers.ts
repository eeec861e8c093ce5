/** Draws the headers of a band over its cells, where scrolling holds them. */
import type { Curve } from "./arrows";
import type { BitSet } from "./bits";
import { type Cells, isAllOn, type Spot, sameSpot } from "./cells";
import { isOneOfMany, isUpright, labelStride } from "./columns";
import {
  type BandBox,
  columnsBetween,
  type Geometry,
  headTop,
  type Rect,
  RING,
  rectOf,
  rowsBetween,
} from "./geometry";
import type { Shades } from "./shades";
import type { Context } from "./shapes";
import type { Palette } from "./theme";

export interface Scene {
  cells: Cells;
  geometry: Geometry;
  on: BitSet;
  partial: BitSet;
  /** Values to colour the cells by; null where the colour tells whether a cell is selected. */
  shades: Shades | null;
  arrows: readonly Curve[];
  cursor: Spot | null;
  /** Whether the cursor is the keyboard's, or only marks the cell that is described. */
  focused: boolean;
  hover: Spot | null;
  scroll: { x: number; y: number };
  width: number;
  height: number;
  ratio: number;
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

/** The names of the blocks, each over a rule as long as its block; a name stays in sight while its block is. */
function paintCaptions(context: Context, scene: Scene, area: BandBox, top: number, palette: Palette): void {
  const { geometry, scroll, width } = scene;
  const rules = new Path2D();
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = palette.muted;
  for (const { title, first, last } of area.blocks) {
    const right = area.lefts[last]! + area.widths[last]!;
    const left = Math.max(area.lefts[first]!, Math.min(scroll.x + geometry.side, right));
    if (right < scroll.x || left > scroll.x + width) continue;
    rules.moveTo(left, top + area.caption - 3.5);
    rules.lineTo(right, top + area.caption - 3.5);
    const latest = Math.max(area.lefts[first]!, right - context.measureText(title).width);
    context.fillText(title, Math.min(left, latest), top + 8);
  }
  context.strokeStyle = palette.group;
  context.lineWidth = 1;
  context.stroke(rules);
}

/** Column headers, held at the top while their band is in view. */
function paintColumns(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, width, hover } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const measure = (text: string) => context.measureText(text).width;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const top = headTop(area, scroll.y);
  const middle = head.y + (head.height - (area.groups.length ? 5 : 0)) / 2;
  context.fillStyle = palette.ground;
  // While the head rests in its place, the rings of the first row may reach into it.
  const resting = top === area.top ? RING : 0;
  context.fillRect(scroll.x, top, width, area.head - resting);
  const blocks = new Map<string, [first: number, stride: number]>();
  for (const [c, shape] of band.columns.entries())
    if (isOneOfMany(shape) && !blocks.has(shape.kind))
      blocks.set(shape.kind, [c, labelStride(band, shape.kind, geometry.cell + geometry.gap, measure)]);
  const [left, right] = columnsBetween(area, scroll.x, scroll.x + width);
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let column = left; column <= right; column++) {
    const { kind, label } = band.columns[column]!;
    const [first, stride] = blocks.get(kind) ?? [0, 1];
    const x = area.lefts[column]! + area.widths[column]! / 2;
    const hovered = hover?.band === b && hover.column === column;
    const near = hover?.band === b && hover.column >= 0 && Math.abs(hover.column - column) < stride;
    if (stride > 1 && !hovered && (near || (column - first) % stride)) continue;
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
  if (area.caption) paintCaptions(context, scene, area, top, palette);
}

/** Row headers, held at the left. */
function paintRows(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, height, hover } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  context.fillStyle = palette.ground;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const start = head.y + head.height;
  // One pixel up, where the ground is bare too: at a fractional ratio a cell would shine through the edge.
  context.fillRect(scroll.x, start - 1, geometry.side - (scroll.x ? 0 : RING), area.bottom - start + 1);
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
  const { caption } = geometry.bands[b]!;
  context.fillRect(rect.x, rect.y - caption, geometry.side - RING, rect.height + caption - RING);
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

export function paintHeaders(context: Context, scene: Scene, b: number, palette: Palette): void {
  paintColumns(context, scene, b, palette);
  paintRows(context, scene, b, palette);
  paintCorner(context, scene, b, palette);
}
