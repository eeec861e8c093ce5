/** Zoom: the size of the cells, and which point stays where it was when that changes. Pure. */
import type { Cells } from "../model/cells";
import { clamp } from "../model/numbers";
import type { Zoom } from "../model/view";
import type { Measure } from "./columns";
import { columnNear, type Geometry, LARGEST, layOut, type Point, SMALLEST } from "./geometry";

const COMFORTABLE = 20;
/** The sizes that can be chosen. The smallest can still be told apart, and clicked with care. */
export const TINIEST = 2;
/** The smallest that is chosen unasked, so that the whole of a large model is seen at once. */
export const LEAST = 3;
export const HUGEST = 56;
const STEPS = [2, 3, 4, 5, 7, 9, 12, 16, 20, 26, 34, 44, 56];
/** Cells this small are chosen unasked only where they save scrolling sideways. */
const SLIGHT = 5;

/** The largest size up to a limit for which something holds; the least where it holds for none. Holds for all smaller. */
function largest(least: number, most: number, holds: (size: number) => boolean): number {
  let [low, high] = [least, most];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The layout at a zoom, in a room of so many pixels; `most` is the largest side of a cell that is chosen unasked. */
export function arrange(
  cells: Cells,
  width: number,
  height: number,
  measure: Measure,
  zoom: Zoom = "whole",
  most = LARGEST,
): Geometry {
  const at = (cell: number) => layOut(cells, cell, measure, true);
  if (typeof zoom === "number") return at(zoom);
  const fits = (cell: number) => {
    const geometry = at(cell);
    return geometry.width <= width && geometry.height <= height;
  };
  if (zoom === "whole") return at(largest(LEAST, most, fits));
  const across = (cell: number) => at(cell).width <= width;
  const whole = largest(COMFORTABLE, most, fits);
  if (fits(whole)) return at(whole);
  if (across(SMALLEST)) return at(largest(SMALLEST, COMFORTABLE, across));
  return at(across(SLIGHT) ? largest(SLIGHT, SMALLEST, across) : SMALLEST);
}

/** The next size up or down; the same where there is none. */
export function stepped(cell: number, by: -1 | 1): number {
  const next = by > 0 ? STEPS.find((step) => step > cell) : STEPS.findLast((step) => step < cell);
  return next ?? cell;
}

/** The point of another geometry of the same cells that corresponds to a point of this one: the same part of the same cell. */
export function mapPoint(from: Geometry, to: Geometry, point: Point): Point {
  const b = Math.max(
    0,
    from.bands.findLastIndex((band) => band.top <= point.y),
  );
  const [before, after] = [from.bands[b]!, to.bands[b]!];
  const c = columnNear(from, b, point.x);
  const within = (at: number, start: number, size: number, next: number, nextSize: number) =>
    at < start ? next - (start - at) : next + ((at - start) / size) * nextSize;
  const x =
    point.x > before.right
      ? after.right + point.x - before.right
      : within(point.x, before.lefts[c]!, before.widths[c]!, after.lefts[c]!, after.widths[c]!);
  return { x, y: within(point.y, before.rows, before.pitch, after.rows, after.pitch) };
}

/** A size after a wheel turned by so many pixels; not whole, because many small turns make up one size. */
export function wheeled(size: number, turn: number): number {
  return clamp(size * Math.exp(-turn / 400), TINIEST, HUGEST);
}
