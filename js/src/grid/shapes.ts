/** The shapes that cells are made of. */
import type { Palette } from "../dom/theme";
import { tier } from "../model/numbers";
import { HATCH, RADII } from "../model/style";
import type { Rect } from "./geometry";

/** A path under construction: the canvas's own, or one that writes down what is drawn. */
export type Path = Pick<
  Path2D,
  "moveTo" | "lineTo" | "arc" | "rect" | "roundRect" | "closePath" | "quadraticCurveTo" | "bezierCurveTo"
>;

/** What painting needs of a canvas's context. */
export interface Context
  extends Pick<
    CanvasRenderingContext2D,
    | "save"
    | "restore"
    | "translate"
    | "rotate"
    | "setTransform"
    | "fillRect"
    | "fillText"
    | "setLineDash"
    | "lineWidth"
    | "lineCap"
    | "globalAlpha"
    | "font"
    | "textAlign"
    | "textBaseline"
  > {
  fillStyle: string;
  strokeStyle: string;
  fill(path: Path): void;
  stroke(path: Path): void;
  measureText(text: string): { width: number };
}

export function roundness(side: number): number {
  return tier(side, RADII)[1] ?? 0;
}

export function box(path: Path, { x, y, width, height }: Rect, inset = 0): void {
  const radius = Math.max(0, roundness(Math.min(width, height)) - inset);
  const sides = [x + inset, y + inset, width - 2 * inset, height - 2 * inset] as const;
  if (radius > 0) path.roundRect(...sides, radius);
  else path.rect(...sides);
}

export function triangle(path: Path, { x, y, width, height }: Rect): void {
  const radius = roundness(Math.min(width, height)) / 2;
  path.moveTo(x, y + radius);
  path.lineTo(x + width - radius, y + height);
  path.lineTo(x + radius, y + height);
  path.quadraticCurveTo(x, y + height, x, y + height - radius);
  path.closePath();
}

export function hatch(path: Path, { x, y, width, height }: Rect): void {
  const step = Math.max(HATCH.least, Math.min(width, height) / HATCH.of);
  for (let d = step; d < width + height; d += step) {
    path.moveTo(x + Math.max(0, d - height), y + Math.min(d, height));
    path.lineTo(x + Math.min(d, width), y + Math.max(0, d - width));
  }
}

export function ring(
  context: Context,
  path: Path,
  rect: Rect,
  color: string,
  outset: number,
  lineWidth: number,
): void {
  const radius = Math.max(2, roundness(Math.min(rect.width, rect.height)) + outset);
  path.roundRect(rect.x - outset, rect.y - outset, rect.width + 2 * outset, rect.height + 2 * outset, radius);
  context.strokeStyle = color;
  context.lineWidth = lineWidth;
  context.stroke(path);
}

/**
 * The ring around the cell that is looked at: outside of it, in black and white, so that no cell's own frame or fill can
 * be taken for it, however small the cell and whatever its color. Wider while the keyboard is on it.
 */
export function lookedAt(
  context: Context,
  path: () => Path,
  rect: Rect,
  palette: Pick<Palette, "ground" | "cursor">,
  focused: boolean,
): void {
  ring(context, path(), rect, palette.ground, 0.75, 1.5);
  ring(context, path(), rect, palette.cursor, 2, focused ? 2.5 : 1.5);
  ring(context, path(), rect, palette.ground, focused ? 3.75 : 3.25, 1);
}

/** The sign of a selected cell that is colored by its value: in a corner, clear of arrows. */
export function tick(path: Path, { x, y, width, height }: Rect): void {
  const size = Math.min(width, height) * 0.16;
  const [left, top] = [x + 5 + size, y + 5 + size];
  path.moveTo(left - size * 0.6, top);
  path.lineTo(left, top + size * 0.7);
  path.lineTo(left + size * 1.1, top - size * 0.8);
}
