/** Paints the small attention patterns of heads into their cells; what the cell says else is left around them as a frame. */

import { make } from "../dom/elements";
import type { Palette } from "../dom/theme";
import { has } from "../model/bits";
import type { PatternCells } from "../model/pattern_cells";
import type { Rect } from "./geometry";
import type { Scene } from "./scene";
import { eachVisible } from "./scene";
import { box, type Context, type Path } from "./shapes";

/** The least side of a cell that has room for a pattern, in pixels. */
export const LEAST_PATTERN = 28;

/** How many strengths are told apart, beside nothing at all. */
const STRENGTHS = 12;

/** How far a pattern stands off the sides of its cell: the frame says whether it is selected, and what color it has. */
export function insetOf(isMarked: boolean, isColored: boolean): number {
  return isColored ? 6 : isMarked ? 4 : 2;
}

/** The rectangles of one pattern within a square, by strength, neighbors in a row that are alike as one. */
export function squaresIn(
  values: Uint8Array,
  size: number,
  { x, y, width, height }: Rect,
  ratio: number,
  add: (strength: number, rect: Rect) => void,
): void {
  // On the device's pixels, so that neighbors leave no seam.
  const snap = (from: number, length: number, k: number) =>
    Math.round((from + (length * k) / size) * ratio) / ratio;
  for (let row = 0; row < size; row++) {
    const [top, bottom] = [snap(y, height, row), snap(y, height, row + 1)];
    for (let from = 0, to = 0; from < size; from = to) {
      const strength = strengthOf(values[row * size + from]!);
      to = from + 1;
      while (to < size && strengthOf(values[row * size + to]!) === strength) to++;
      const [left, right] = [snap(x, width, from), snap(x, width, to)];
      if (strength && right > left && bottom > top)
        add(strength, { x: left, y: top, width: right - left, height: bottom - top });
    }
  }
}

const strengthOf = (value: number) => Math.round((value * STRENGTHS) / 255);

export function paintPatterns(
  context: Context,
  scene: Scene,
  b: number,
  palette: Palette,
  patterns: PatternCells,
): void {
  const { cells, geometry, on, partial, cellValues, ratio } = scene;
  if (geometry.bands[b]!.labeled || geometry.cell < LEAST_PATTERN) return;
  const grounds = scene.path();
  const paths = Array.from({ length: STRENGTHS + 1 }, (): Path => scene.path());
  eachVisible(scene, b, (n, { x, y, width, height }) => {
    const values = patterns.of.get(n);
    if (!values) return;
    const isMarked = has(on, n) || has(partial, n) || has(cells.zero, n);
    const inset = insetOf(isMarked, cellValues !== null);
    const rect = { x: x + inset, y: y + inset, width: width - 2 * inset, height: height - 2 * inset };
    box(grounds, rect);
    squaresIn(values, patterns.size, rect, ratio, (strength, one) =>
      paths[strength]!.rect(one.x, one.y, one.width, one.height),
    );
  });
  context.fillStyle = palette.ground;
  context.fill(grounds);
  context.fillStyle = palette.on;
  for (const [strength, path] of paths.entries()) {
    if (!strength) continue;
    context.globalAlpha = strength / STRENGTHS;
    context.fill(path);
  }
  context.globalAlpha = 1;
}

/** A head's pattern as a picture of its own. */
export function thumbnail(values: Uint8Array, size: number, palette: Palette): HTMLCanvasElement {
  const canvas = make("canvas", { class: "hg-pattern", width: size, height: size });
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, size, size);
  context.fillStyle = palette.on;
  for (const [k, value] of values.entries()) {
    context.globalAlpha = value / 255;
    context.fillRect(k % size, Math.floor(k / size), 1, 1);
  }
  return canvas;
}
