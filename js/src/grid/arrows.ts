/** Which composition arrows are drawn, and where: curves from cell to cell in the grid's own pixels. Pure. */
import { type Cells, positionOf } from "../model/cells";
import { clamp, short } from "../model/numbers";
import { ARROWS, LANES } from "../model/style";
import type { ArrowChoice } from "../model/view";
import type { Arrow } from "../model/wire";
import { type Geometry, type Point, rectOf } from "./geometry";

export interface Curve {
  arrow: Arrow;
  /** From the first point to the last, bent by the two between. */
  points: [Point, Point, Point, Point];
  /** From 0 at the threshold to 1 for the strongest. */
  strength: number;
  /** Whether it is as most pairs are: no outlier among them. */
  plain: boolean;
  /** Whether it was tested and carries nothing to speak of. */
  idle: boolean;
}

/** The z of an arrow; one without a finite z is no stronger than random. */
export const zOf = ({ z }: Arrow): number => (Number.isFinite(z) ? z : 0);

/** Whether an arrow is as most pairs are; of too few nobody can say which are outliers, so that all of them are plain. */
export const isPlainArrow = (arrow: Arrow, fence: number | null = null): boolean =>
  !(zOf(arrow) > (fence ?? Number.POSITIVE_INFINITY));

/** Whether an arrow was tested on the task, and carries no more there than a random write as large. */
export const isIdle = ({ carries, stands_out }: Arrow): boolean => typeof carries === "number" && !stands_out;

/** What an arrow was found to carry: "carries −1.49 of the metric, more than every random write as large"; "" where that was not measured. */
export function carriedText({ carries, stands_out }: Arrow): string {
  if (carries === null || carries === undefined) return "";
  return `carries ${short(carries)} of the metric, ${stands_out ? "more than every random write as large" : "as random writes do"}`;
}

/** The arrows between these cells; a stack that is not shown has others. */
export function within(arrows: readonly Arrow[], cells: Cells): Arrow[] {
  return arrows.filter((a) => positionOf(cells, a.source) && positionOf(cells, a.target));
}

/** The arrows between these cells that pass, strongest first. */
export function passing(arrows: readonly Arrow[], choice: ArrowChoice, cells: Cells): Arrow[] {
  if (!choice.shown) return [];
  return within(arrows, cells)
    .filter((a) => choice.kinds[a.kind] && zOf(a) >= choice.z)
    .sort((a, b) => zOf(b) - zOf(a))
    .slice(0, ARROWS.most);
}

/** The right end of the threshold's slider: the strongest z, rounded up. */
export function highestZ(arrows: readonly Arrow[]): number {
  return Math.max(4, Math.ceil(Math.max(0, ...arrows.map(zOf))));
}

/** Curves of the arrows that pass. The three kinds keep to lanes of their own; what goes straight down bows aside. */
export function curvesOf(
  all: readonly Arrow[],
  choice: ArrowChoice,
  cells: Cells,
  geometry: Geometry,
  fence: number | null = null,
): Curve[] {
  const arrows = passing(all, choice, cells);
  const top = Math.max(...arrows.map(zOf));
  return arrows.flatMap((arrow) => {
    const [source, target] = [positionOf(cells, arrow.source), positionOf(cells, arrow.target)];
    if (!source || !target) return [];
    const [a, b] = [rectOf(geometry, source), rectOf(geometry, target)];
    const down = b.y >= a.y ? 1 : -1;
    const lane = LANES[arrow.kind] * Math.min(8, a.width / 4);
    const from = { x: a.x + a.width / 2 + lane, y: a.y + a.height * (0.5 + 0.15 * down) };
    const to = { x: b.x + b.width / 2 + lane, y: b.y + b.height * (0.5 - 0.3 * down) };
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    // Over cells that lie between, a straight line would hide them and hide behind them.
    const far = Math.abs(dy) > 2 * geometry.cell && Math.abs(dx) < 2 * geometry.cell;
    const bow = far ? (dx < 0 ? -1 : 1) * (geometry.cell + geometry.gap) * 0.8 : 0;
    const reach = down * (Math.abs(dy) * 0.45 + Math.min(30, Math.abs(dx) * 0.12));
    // Where a curve runs level, its lane has to be one of height.
    const level = Math.abs(dx) > Math.abs(dy) ? lane * 1.2 : 0;
    const bend = (point: Point, y: number) => ({ x: point.x + bow, y: point.y + y - level });
    return {
      arrow,
      points: [from, bend(from, reach), bend(to, -reach), to],
      strength: top > choice.z ? clamp((zOf(arrow) - choice.z) / (top - choice.z), 0, 1) : 1,
      plain: isPlainArrow(arrow, fence),
      idle: isIdle(arrow),
    };
  });
}
