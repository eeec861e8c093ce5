/**
 * A cache of the painted cells: a canvas of its own, from which each frame is copied.
 *
 * Most frames change a few cells, or none: only those are painted again.
 */

import type { Palette } from "../dom/theme";
import { type BitSet, difference } from "../model/bits";
import type { Point, Rect } from "./geometry";
import { enter, paintBands, paintGround, paintOver } from "./paint";
import type { Scene } from "./scene";
import { eachVisible } from "./scene";
import type { Context } from "./shapes";

/** A canvas as painting sees it, which gives it colors as text only. */
export function contextOf(canvas: HTMLCanvasElement): (CanvasRenderingContext2D & Context) | null {
  return canvas.getContext("2d", { alpha: false }) as (CanvasRenderingContext2D & Context) | null;
}

type PaintedScene = Scene & { palette: Palette };

/** What has to be as it was for the cells to be painted as they were, but for those that changed. */
const SAME = [
  ...(["geometry", "cells", "cellValues", "patterns", "marks"] as const),
  ...(["width", "height", "ratio", "palette"] as const),
];

/** The cells whose state differs between two scenes; null where everything has to be painted anew. */
export function changedCells(before: PaintedScene | null, now: PaintedScene): BitSet | null {
  if (!before || SAME.some((key) => before[key] !== now[key])) return null;
  const partial = difference(before.partial, now.partial);
  return difference(before.on, now.on).map((byte, k) => byte | partial[k]!);
}

/** The parts of the content that came into view when it was scrolled: nothing, a strip or two, or all of it. */
export function uncovered(before: Point, now: Point, { width, height }: Scene): Rect[] {
  const [dx, dy] = [now.x - before.x, now.y - before.y];
  const strips: Rect[] = [];
  if (dx)
    strips.push({
      ...{ x: dx > 0 ? now.x + Math.max(0, width - dx) : now.x, y: now.y },
      ...{ width: Math.min(width, Math.abs(dx)), height },
    });
  if (dy)
    strips.push({
      ...{ x: now.x, y: dy > 0 ? now.y + Math.max(0, height - dy) : now.y },
      ...{ width, height: Math.min(height, Math.abs(dy)) },
    });
  return strips;
}

export class PaintedCells {
  readonly #canvas = document.createElement("canvas");
  readonly #context = contextOf(this.#canvas);
  #last: PaintedScene | null = null;

  paint(target: CanvasRenderingContext2D & Context, scene: Scene, palette: Palette): void {
    const { width, height } = target.canvas;
    if (!width || !height) return; // a view that is hidden, of which browsers refuse to draw a copy
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
      this.#last = null;
    }
    const before = this.#last;
    const now = { ...scene, palette };
    const only = changedCells(before, now);
    this.#last = now;
    if (!before || !only) {
      if (!this.#context) return;
      paintGround(this.#context, scene, palette);
      paintBands(this.#context, scene, palette);
    } else {
      this.#shift(before, now);
      if (only.some((byte) => byte)) this.#repaint({ ...now, only });
    }
    target.setTransform(1, 0, 0, 1, 0, 0);
    target.drawImage(this.#canvas, 0, 0);
    paintOver(target, scene, palette);
  }

  /** Moves what is there as far as it was scrolled, and paints what came into view. */
  #shift({ scroll }: PaintedScene, now: PaintedScene): void {
    const { ratio } = now;
    const context = this.#context!;
    // Whole pixels of the device, as painting has them.
    const moved = (axis: "x" | "y") =>
      Math.round(scroll[axis] * ratio) - Math.round(now.scroll[axis] * ratio);
    const strips = uncovered(scroll, now.scroll, now);
    if (!strips.length) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#canvas, moved("x"), moved("y"));
    for (const { x, y, width, height } of strips) {
      // A little more than came into view, because the edge of what was there may be half a cell's.
      const part = { x: x - 2, y: y - 2, width: width + 4, height: height + 4 };
      enter(context, now, now.palette);
      context.fillStyle = now.palette.ground;
      context.fillRect(x, y, width, height);
      this.#repaint({ ...now, part });
    }
  }

  /** Paints some cells over what they were. */
  #repaint(scene: PaintedScene): void {
    const context = this.#context!;
    enter(context, scene, scene.palette);
    context.fillStyle = scene.palette.ground;
    for (const b of scene.cells.bands.keys())
      eachVisible(scene, b, (_, { x, y, width, height }) => context.fillRect(x, y, width, height));
    paintBands(context, scene, scene.palette);
  }
}
