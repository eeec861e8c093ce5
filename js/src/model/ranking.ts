/** The order of the cells by the value that colors them, and what lies beyond a threshold. Pure. */
import type { CellValues } from "./cell_values";
import { type Cells, sizeOf } from "./cells";
import { thousands } from "./numbers";

export interface Ranking {
  /** The cells that have a value, the largest first; where a scale has two sides, those furthest from zero. */
  order: readonly number[];
  /** What each of them is ranked by, in the same order: the value, or its distance from zero. */
  sizes: readonly number[];
  /** Whether it is ranked by the distance from zero. */
  twoSided: boolean;
  /** What they are called: "head" where they all are, or else "cell". */
  noun: string;
  /** The place of a cell, from 1; those of one value share the first of theirs. */
  places: ReadonlyMap<number, number>;
}

/** The ranking of the cells that are shown. */
export function rankingOf(cellValues: CellValues, cells: Cells): Ranking {
  const { values, diverging } = cellValues;
  const sizeAt = (n: number) => (diverging ? Math.abs(values[n]!) : values[n]!);
  const order: number[] = [];
  let isAllHeads = true;
  for (const [b, band] of cells.bands.entries()) {
    const first = cells.first[b]!;
    for (let n = first; n < first + sizeOf(cells, b); n++) {
      if (Number.isNaN(values[n]!)) continue;
      order.push(n);
      isAllHeads &&= band.columns[(n - first) % band.columns.length]!.kind === "head";
    }
  }
  order.sort((a, b) => sizeAt(b) - sizeAt(a) || a - b);
  const sizes = order.map(sizeAt);
  const places = new Map<number, number>();
  order.forEach((n, k) => {
    places.set(n, k && sizes[k] === sizes[k - 1] ? places.get(order[k - 1]!)! : k + 1);
  });
  return { order, sizes, twoSided: diverging, noun: isAllHeads ? "head" : "cell", places };
}

/** The same ranking as the last time while it is of the same values and cells. */
export function keepRanking(): (cellValues: CellValues | null, cells: Cells) => Ranking | null {
  let before: { cellValues?: CellValues | null; cells?: Cells } = {};
  let kept: Ranking | null = null;
  return (cellValues, cells) => {
    if (before.cellValues !== cellValues || before.cells !== cells)
      kept = cellValues ? rankingOf(cellValues, cells) : null;
    before = { cellValues, cells };
    return kept;
  };
}

/** What a typed number may miss a value by that has four bytes, as a part of it. */
const SLACK = 1e-6;

/** How many cells are at or beyond a threshold: the first so many of the order. */
export function countFrom({ sizes }: Ranking, at: number): number {
  const threshold = at - Math.abs(at) * SLACK;
  let [low, high] = [0, sizes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sizes[middle]! >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** "1st", "2nd", "3rd", "11th", "22nd" */
export function ordinal(n: number): string {
  const [ten, one] = [Math.floor(n / 10) % 10, n % 10];
  const ending = ten === 1 ? "th" : (["th", "st", "nd", "rd"][one] ?? "th");
  return thousands(n) + ending;
}

/** "3rd of 144" of a cell; "" where it has no value. */
export function placeText(ranking: Ranking | null, cell: number): string {
  const place = ranking?.places.get(cell);
  return ranking && place ? `${ordinal(place)} of ${thousands(ranking.order.length)}` : "";
}

/** "12 heads" */
export function amountOf(n: number, noun: string): string {
  return `${thousands(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** How many values fall into each of so many equal parts between two ends; the last part has its upper end too. */
export function binsOf(values: Iterable<number>, low: number, high: number, count: number): number[] {
  const bins = Array<number>(count).fill(0);
  for (const value of values) {
    const at = high > low ? Math.floor(((value - low) / (high - low)) * count) : count >> 1;
    bins[Math.max(0, Math.min(count - 1, at))]!++;
  }
  return bins;
}

/** The ends of a scale that a view chose for its colors, instead of those that came with them. */
export interface ScaleEnds {
  low: number;
  high: number;
}

/** Values with other ends; the same object while nothing changed, so that no cell is painted again. */
export function keepClipped(): (cellValues: CellValues | null, ends: ScaleEnds | null) => CellValues | null {
  let before: { cellValues?: CellValues | null; ends?: ScaleEnds | null } = {};
  let kept: CellValues | null = null;
  return (cellValues, ends) => {
    if (before.cellValues !== cellValues || before.ends !== ends)
      kept = cellValues && ends ? { ...cellValues, ...ends } : cellValues;
    before = { cellValues, ends };
    return kept;
  };
}
