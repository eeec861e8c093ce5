/** Bars of a small chart, in a box of one unit for each bar and 100 units of height. Pure. */
import { clamp } from "../model/numbers";

export const HEIGHT = 100;

export interface Bars {
  /** The outline of bars `i` for which `wanted(i)` holds, as one path. */
  path(wanted: (i: number) => boolean): string;
  /** The height at which zero lies. */
  zero: number;
}

/** Bars from zero to each value; what is not a number has none. */
export function barsOf(values: readonly number[]): Bars {
  const finite = values.map((value) => (Number.isFinite(value) ? value : 0));
  const top = Math.max(0, ...finite);
  const span = top - Math.min(0, ...finite) || 1;
  const y = (value: number) => Number(((HEIGHT * (top - value)) / span).toFixed(2));
  // Many bars touch each other, because gaps would be thinner than a pixel.
  const gap = values.length <= 80 ? 0.12 : 0;
  return {
    zero: y(0),
    path: (wanted) =>
      finite
        .map((value, i) => (wanted(i) ? `M${i + gap} ${y(0)}V${y(value)}H${i + 1 - gap}V${y(0)}Z` : ""))
        .join(""),
  };
}

/** The bar at a fraction between the left edge, 0, and the right one, 1. */
export function barAt(fraction: number, count: number): number {
  return clamp(Math.floor(fraction * count), 0, count - 1);
}

/** Which bar a key goes to; null for a key that goes to none. */
export function barFor(key: string, at: number, count: number): number | null {
  const last = count - 1;
  if (key === "ArrowRight" || key === "ArrowUp") return Math.min(last, at + 1);
  if (key === "ArrowLeft" || key === "ArrowDown") return Math.max(0, at - 1);
  if (key === "Home") return 0;
  return key === "End" ? last : null;
}
