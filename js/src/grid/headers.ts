/** Draws the headers of a band over its cells, where scrolling holds them. */

import type { Palette } from "../dom/theme";
import { groupAt, handleAt, samePosition } from "../model/cells";
import { fullnessOf } from "../model/fullness";
import { AXIS, HEAD, RING, ROOMY, ROWS, SIDE, STRIDES, UPRIGHT } from "../model/style";
import { isOneOfMany, isUpright, labelStride } from "./columns";
import { type BandBox, headTop, rectOf, rowsBetween } from "./geometry";
import type { Scene } from "./scene";
import type { Context } from "./shapes";

/** The brackets over groups of heads that read one key/value head, with its number where there is room. */
function paintBrackets(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, hover, scroll, width } = scene;
  const area = geometry.bands[b]!;
  const { columns } = fullnessOf(cells, scene.on)[b]!;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [first, last] of area.groups) {
    const position = { band: b, row: -2, column: first };
    const rect = rectOf(geometry, position, scroll);
    if (rect.x > scroll.x + width || rect.x + rect.width < scroll.x) continue;
    const hovered = samePosition(hover, position);
    const full = columns.slice(first, last + 1).every((level) => level === 2 || level === -1);
    const [left, right, y] = [rect.x + 0.5, rect.x + rect.width - 0.5, rect.y + rect.height - 4.5];
    const path = scene.path();
    path.moveTo(left, y + 4);
    path.lineTo(left, y);
    path.lineTo(right, y);
    path.lineTo(right, y + 4);
    context.strokeStyle = full ? palette.on : hovered ? palette.text : palette.group;
    context.lineWidth = full || hovered ? 2 : 1;
    context.stroke(path);
    const label = `kv ${cells.bands[b]!.columns[first]!.group}`;
    if (context.measureText(label).width + 4 > rect.width) continue;
    context.fillStyle = full || hovered ? palette.text : palette.muted;
    context.fillText(label, rect.x + rect.width / 2, rect.y + 6);
  }
}

/** The names of the blocks, each over a rule as long as its block; a name stays in sight while its block is. */
function paintCaptions(context: Context, scene: Scene, area: BandBox, top: number, palette: Palette): void {
  const { geometry, scroll, width } = scene;
  const rules = scene.path();
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

/** A label that stands on its end, over the middle of its column. */
function fillUpright(context: Context, label: string, x: number, bottom: number): void {
  context.save();
  context.translate(x, bottom);
  context.rotate(-Math.PI / 2);
  context.textAlign = "left";
  context.fillText(label, 0, 0.5);
  context.restore();
}

/** Column headers, held at the top while their band is in view. */
function paintColumns(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, scroll, width, hover, cursor } = scene;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const { columns, handleHeaders } = fullnessOf(cells, scene.on)[b]!;
  const measure = (text: string) => context.measureText(text).width;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const top = headTop(area, scroll.y);
  const bottom = head.y + head.height - HEAD.foot;
  // Below the name of the axis.
  const middle = area.caption ? head.y + head.height / 2 : head.y + head.height - HEAD.number;
  context.fillStyle = palette.ground;
  // While the head rests in its place, the rings of the first row may reach into it.
  const resting = top === area.top ? RING : 0;
  context.fillRect(scroll.x, top, width, area.head - resting);
  const blocks = new Map<string, [first: number, stride: number]>();
  for (const [c, shape] of band.columns.entries())
    if (isOneOfMany(shape) && !blocks.has(shape.kind))
      blocks.set(shape.kind, [c, labelStride(band, shape.kind, geometry.cell + geometry.gap, measure)]);
  // What is looked at has its number too, where nothing is pointed at.
  const near = hover ?? cursor;
  const at = near?.band === b ? near : null;
  const group = at?.row === -2 ? groupAt(band, at.column) : null;
  context.textBaseline = "middle";
  context.textAlign = "center";
  /** Where upright labels stand: small cells leave room for some only, those of the handles first. */
  const taken: number[] = [];
  for (const { column } of area.reach.toSorted((a, b) => Math.sign(a.column + 1) - Math.sign(b.column + 1))) {
    const rect = rectOf(geometry, { band: b, row: -1, column });
    const x = rect.x + rect.width / 2;
    if (rect.x > scroll.x + width || rect.x + rect.width < scroll.x) continue;
    const handle = handleAt(band, column);
    const { label } = handle ?? band.columns[column]!;
    const hovered = at?.column === column || (group && column >= group[0] && column <= group[1]);
    const full = handle ? handleHeaders[-2 - column] : columns[column];
    const upright = handle || isUpright(band, area, column, geometry.gap, measure);
    context.fillStyle = hovered || full === 2 ? palette.text : palette.muted;
    if (upright) {
      if (taken.some((other) => Math.abs(x - other) < UPRIGHT) && at?.column !== column) continue;
      taken.push(x);
      fillUpright(context, label, x, bottom);
      continue;
    }
    const [first, stride] = blocks.get(band.columns[column]!.kind) ?? [0, 1];
    const isNear = at && at.row > -2 && at.column >= 0 && Math.abs(at.column - column) < stride;
    if (stride > 1 && at?.column !== column && (isNear || (column - first) % stride)) continue;
    // Beside an upright label, which is that of a handle or of a lone column, a number can do without its own.
    if (taken.some((other) => Math.abs(x - other) < UPRIGHT / 2 + measure(label) / 2) && !hovered) continue;
    context.fillText(label, x, middle);
  }
  paintColumnAxis(context, scene, b, head.y, palette);
  if (area.bracket) paintBrackets(context, scene, b, palette);
  if (area.caption) paintCaptions(context, scene, area, top, palette);
}

/** The name of what the numbers of the columns count, over the first of them; where there are captions, they say it. */
function paintColumnAxis(context: Context, scene: Scene, b: number, top: number, palette: Palette): void {
  const { geometry, scroll } = scene;
  const area = geometry.bands[b]!;
  const first = scene.cells.bands[b]!.columns.findIndex(isOneOfMany);
  if (first < 0 || area.caption) return;
  const { kind } = scene.cells.bands[b]!.columns[first]!;
  context.textAlign = "left";
  context.fillStyle = palette.muted;
  context.fillText(kind, Math.max(area.lefts[first]!, scroll.x + geometry.side), top + HEAD.name);
}

/** The name of what the numbers of the rows count, on its end beside those that are in sight. */
function paintRowAxis(context: Context, scene: Scene, b: number, start: number, palette: Palette): void {
  const { scroll, height, geometry } = scene;
  const end = Math.min(geometry.bands[b]!.bottom, scroll.y + height);
  context.save();
  context.translate(scroll.x + AXIS / 2, (Math.max(start, geometry.bands[b]!.rows) + end) / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillStyle = palette.muted;
  context.fillText(ROWS, 0, 0.5);
  context.restore();
}

/** Every how many rows have their number written: as many as there is room for, in round steps. */
export function rowStride(pitch: number): number {
  return STRIDES.find((stride) => stride * pitch >= ROOMY) ?? STRIDES.at(-1)!;
}

/** Row headers, held at the left. */
function paintRows(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, scroll, height, cursor } = scene;
  const hover = scene.hover ?? cursor;
  const band = cells.bands[b]!;
  const area = geometry.bands[b]!;
  const { rows } = fullnessOf(cells, scene.on)[b]!;
  context.fillStyle = palette.ground;
  const head = rectOf(geometry, { band: b, row: -1, column: -1 }, scroll);
  const start = head.y + head.height;
  // One pixel up, where the ground is bare too: at a fractional ratio a cell would shine through the edge.
  context.fillRect(scroll.x, start - 1, geometry.side - (scroll.x ? 0 : RING), area.bottom - start + 1);
  const [top, bottom] = rowsBetween(area, band.rows.length, scroll.y, scroll.y + height);
  const stride = rowStride(area.pitch);
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let row = top; row <= bottom; row++) {
    const hovered = hover?.band === b && hover.row === row;
    const near = hover?.band === b && hover.row >= 0 && Math.abs(hover.row - row) < stride;
    const y = area.rows + row * area.pitch + area.rowHeight / 2;
    if (y < start || (stride > 1 && !hovered && (near || row % stride))) continue;
    context.fillStyle = hovered || rows[row] === 2 ? palette.text : palette.muted;
    context.fillText(band.rows[row]!.label, scroll.x + geometry.side - SIDE.inset, y + 0.5);
  }
  paintRowAxis(context, scene, b, start, palette);
}

function paintCorner(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, scroll, hover } = scene;
  const position = { band: b, row: -1, column: -1 };
  const rect = rectOf(geometry, position, scroll);
  const above = rect.y - headTop(geometry.bands[b]!, scroll.y);
  context.fillStyle = palette.ground;
  context.fillRect(rect.x, rect.y - above, geometry.side - RING, rect.height + above - RING);
  const path = scene.path();
  const x = rect.x + geometry.side - 10;
  const y = rect.y + rect.height - 7;
  path.moveTo(x, y - 8);
  path.lineTo(x, y);
  path.lineTo(x - 8, y);
  path.closePath();
  const all = fullnessOf(cells, on)[b]!.all === 2;
  context.fillStyle = all ? palette.on : samePosition(hover, position) ? palette.text : palette.line;
  context.fill(path);
}

export function paintHeaders(context: Context, scene: Scene, b: number, palette: Palette): void {
  paintColumns(context, scene, b, palette);
  paintCorner(context, scene, b, palette);
  paintRows(context, scene, b, palette);
}
