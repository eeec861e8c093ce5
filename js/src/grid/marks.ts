/** Saved selections that are shown: a bar in the color of each along the top edge of its cells. */

import { isPlain, type Palette } from "../dom/theme";
import { type BitSet, fromWire, has } from "../model/bits";
import type { SavedSelection } from "../model/wire";
import type { Rect } from "./geometry";
import type { Mark, Scene } from "./scene";
import { eachVisible } from "./scene";
import type { Context, Path } from "./shapes";

/** The marks of the saved selections of some names, in the order of saving. */
export function marksOf(saved: readonly SavedSelection[], names: readonly string[], count: number): Mark[] {
  return saved
    .filter(({ name }) => names.includes(name))
    .map(({ color, cells }) => ({ color, bits: fromWire(cells, count) }));
}

/** The marks of what is saved now; the same as the last time as long as they are, so that no cell is painted again. */
export function keepMarks(): typeof marksOf {
  let marks: Mark[] = [];
  let before: { saved?: readonly SavedSelection[]; key?: string } = {};
  return (saved, names, count) => {
    const key = names.join("\n");
    if (key !== before.key || (key && saved !== before.saved)) marks = marksOf(saved, names, count);
    before = { saved, key };
    return marks;
  };
}

/** Which of the marks hold a cell. */
export function marksAt(marks: readonly { bits: BitSet }[], n: number): number[] {
  return [...marks.keys()].filter((k) => has(marks[k]!.bits, n));
}

/** The bars of so many marks on a cell, from left to right; as many as can be seen, and at least one. */
export function barsOf({ x, y, width, height }: Rect, count: number): Rect[] {
  const roomy = Math.min(width, height) >= 12;
  const inset = roomy ? 3 : 0;
  const tall = roomy ? Math.max(3, Math.round(height / 8)) : Math.max(1, Math.round(height / 3.5));
  const gap = roomy ? 1 : 0;
  const room = width - 2 * inset;
  const shown = Math.min(count, Math.max(1, Math.floor((room + gap) / (2 + gap))));
  const wide = (room - gap * (shown - 1)) / shown;
  return Array.from({ length: shown }, (_, k) => ({
    x: x + inset + k * (wide + gap),
    y: y + (roomy ? 2 : 0),
    width: wide,
    height: tall,
  }));
}

export function paintMarks(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { marks } = scene;
  if (!marks.length) return;
  const paths = new Map<string, Path>();
  const around = scene.path();
  const outline = scene.path();
  eachVisible(scene, b, (n, rect) => {
    const found = marksAt(marks, n);
    if (!found.length) return;
    const bars = barsOf(rect, found.length);
    const [first, last] = [bars[0]!, bars.at(-1)!];
    const halo = rect.height >= 6 ? 1 : 0;
    const pad = Number(first.x > rect.x);
    // A rim in the ground's color keeps the bars apart from whatever the cell is filled with.
    if (halo)
      around.rect(
        first.x - pad,
        first.y - pad,
        last.x + last.width - first.x + 2 * pad,
        first.height + 1 + pad,
      );
    for (const [k, bar] of bars.entries()) {
      const { color } = marks[found[k]!]!;
      const path = paths.get(color) ?? scene.path();
      paths.set(color, path);
      path.rect(bar.x, bar.y, bar.width, bar.height);
      outline.rect(bar.x + 0.5, bar.y + 0.5, bar.width - 1, bar.height - 1);
    }
  });
  context.fillStyle = palette.ground;
  context.fill(around);
  for (const [color, path] of paths) {
    context.fillStyle = color;
    context.fill(path);
  }
  // Where the system chooses the colors, these still tell the selections apart, as on their chips.
  if (!isPlain(palette)) return;
  context.strokeStyle = palette.text;
  context.lineWidth = 1;
  context.stroke(outline);
}
