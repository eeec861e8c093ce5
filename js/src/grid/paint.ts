/** Paints a scene on a canvas: cells, marks, handles, arrows, headers, cursor. */

import { isPlain, type Palette } from "../dom/theme";
import { has } from "../model/bits";
import { numberAt, type Position } from "../model/cells";
import { RING } from "../model/style";
import { paintArrows } from "./draw_arrows";
import { paintFills } from "./fills";
import { type BandBox, rectOf } from "./geometry";
import { paintHandles } from "./handles";
import { paintHeaders } from "./headers";
import { paintMarks } from "./marks";
import { paintPatterns } from "./patterns";
import { levelOf, scaleOf } from "./scales";
import type { Scene } from "./scene";
import { eachVisible } from "./scene";
import { box, type Context, hatch, lookedAt, ring, triangle } from "./shapes";
import { paintSums } from "./sums";
import { paintValues } from "./values";

/** The least side of a cell that has an edge. */
const EDGED = 9;

/** The cells of one band, gathered by state so that each state is filled once. */
function paintCells(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on, partial } = scene;
  const area = geometry.bands[b]!;
  const [off, edges, full, corner, stripes, stripesOn] = Array.from({ length: 6 }, () => scene.path());
  eachVisible(scene, b, (n, rect) => {
    const isOn = has(on, n);
    box(isOn ? full! : off!, rect);
    if (!isOn) box(edges!, rect, 0.5);
    if (!isOn && has(partial, n)) triangle(corner!, rect);
    if (has(cells.zero, n)) hatch(isOn ? stripesOn! : stripes!, rect);
  });
  context.fillStyle = palette.cell;
  context.fill(off!);
  context.lineWidth = 1;
  context.strokeStyle = palette.edge;
  // The smallest have no room for an edge of their own, unless the system forbids a fill: one is around all of them.
  if (area.rowHeight >= EDGED || isPlain(palette)) context.stroke(edges!);
  else outline(context, scene, area, palette);
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

/** The edge around all cells of a band. */
function outline(
  context: Context,
  scene: Scene,
  { lefts, right, rows, bottom }: BandBox,
  palette: Palette,
): void {
  const path = scene.path();
  path.rect(lefts[0]! - 0.5, rows - 0.5, right - lefts[0]! + 1, bottom - rows + 1);
  context.strokeStyle = palette.edge;
  context.lineWidth = 1;
  context.stroke(path);
}

function paintLabels(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { cells, geometry, on } = scene;
  const cellValues = isPlain(palette) ? null : scene.cellValues;
  const band = cells.bands[b]!;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < band.rows.length; row++) {
    for (const [column, { label }] of band.columns.entries()) {
      const position = { band: b, row, column };
      const n = numberAt(cells, position);
      if (n < 0) continue;
      const rect = rectOf(geometry, position);
      const value = cellValues?.values[n] ?? Number.NaN;
      if (cellValues && !Number.isNaN(value))
        context.fillStyle = scaleOf(cellValues.diverging, palette.theme).marks[levelOf(value, cellValues)]!;
      else context.fillStyle = has(on, n) && !cellValues ? palette.mark : palette.text;
      context.fillText(label, rect.x + rect.width / 2, rect.y + rect.height / 2 + 0.5);
    }
  }
}

function paintMark(context: Context, scene: Scene, palette: Palette, headers: boolean): void {
  const { geometry, cursor, hover, focused, scroll } = scene;
  const isHeader = (position: Position) => position.row < 0 || position.column < 0;
  if (hover && isHeader(hover) === headers && (headers || numberAt(scene.cells, hover) >= 0)) {
    if (!headers) ring(context, scene.path(), rectOf(geometry, hover, scroll), palette.hover, 0.75, 1.5);
  }
  if (cursor && isHeader(cursor) === headers && (headers || numberAt(scene.cells, cursor) >= 0)) {
    const rect = rectOf(geometry, cursor, scroll);
    if (!headers) lookedAt(context, scene.path, rect, palette, focused);
    if (!headers || !focused) return;
    ring(context, scene.path(), rect, palette.ground, -1.5, 3.5);
    ring(context, scene.path(), rect, palette.cursor, -1.5, 2);
  }
}

/** Dims the cells towards an edge beyond which there are more. */
function paintEdges(context: Context, scene: Scene, palette: Palette): void {
  const { geometry, scroll, width, height } = scene;
  if (isPlain(palette)) return;
  const steps = 16;
  context.fillStyle = palette.ground;
  const [right, bottom] = [scroll.x + width, scroll.y + height];
  for (let k = 0; k < steps; k++) {
    context.globalAlpha = (0.75 * (steps - k)) / steps;
    if (right < geometry.width - RING) context.fillRect(right - k - 1, scroll.y, 1, height);
    if (bottom < geometry.height - RING) context.fillRect(scroll.x, bottom - k - 1, width, 1);
    if (scroll.x > 0) context.fillRect(scroll.x + geometry.side + k, scroll.y, 1, height);
  }
  context.globalAlpha = 1;
}

function bandsInView({ geometry, scroll, height }: Scene): number[] {
  const inView = ({ bottom, top }: BandBox) => bottom >= scroll.y && top <= scroll.y + height;
  return [...geometry.bands.keys()].filter((b) => inView(geometry.bands[b]!));
}

/** Makes the context count in the pixels of the scrolled content. */
export function enter(context: Context, { scroll, ratio }: Scene, palette: Palette): void {
  context.setTransform(ratio, 0, 0, ratio, -Math.round(scroll.x * ratio), -Math.round(scroll.y * ratio));
  context.font = palette.font;
}

/** An opaque ground, so that the headers laid over it leave no seams at a fractional pixel ratio. */
export function paintGround(context: Context, { width, height, ratio }: Scene, palette: Palette): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, Math.ceil(width * ratio), Math.ceil(height * ratio));
}

/** The cells and their marks: what changes only where a cell changes. */
export function paintBands(context: Context, scene: Scene, palette: Palette): void {
  enter(context, scene, palette);
  for (const b of bandsInView(scene)) {
    if (scene.cellValues && !isPlain(palette)) paintFills(context, scene, b, palette, scene.cellValues);
    else paintCells(context, scene, b, palette);
    if (scene.patterns) paintPatterns(context, scene, b, palette, scene.patterns);
    if (scene.cellValues && !isPlain(palette)) paintValues(context, scene, b, palette, scene.cellValues);
    paintMarks(context, scene, b, palette);
  }
}

/** What lies over the cells: handles, arrows, headers, cursor. */
export function paintOver(context: Context, scene: Scene, palette: Palette): void {
  const { geometry, frame } = scene;
  enter(context, scene, palette);
  const visible = bandsInView(scene);
  for (const b of visible) {
    const area = geometry.bands[b]!;
    if (area.labeled) paintLabels(context, scene, b, palette);
    if (area.handleLefts.length) paintHandles(context, scene, b, palette);
    paintSums(context, scene, b, palette);
  }
  paintArrows(context, scene, palette);
  if (frame) ring(context, scene.path(), frame, palette.cursor, 1.5, 1.5);
  paintMark(context, scene, palette, false);
  paintEdges(context, scene, palette);
  for (const b of visible) if (!geometry.bands[b]!.labeled) paintHeaders(context, scene, b, palette);
  paintMark(context, scene, palette, true);
}

export function paint(context: Context, scene: Scene, palette: Palette): void {
  paintGround(context, scene, palette);
  paintBands(context, scene, palette);
  paintOver(context, scene, palette);
}
