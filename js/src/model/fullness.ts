/** How much of every row, column and handle is selected, cached for each set of cells, because each frame asks. Pure. */
import type { BitSet } from "./bits";
import { type Cells, handlesOf } from "./cells";

/** Nothing is there to be selected; nothing, some, all of it is. */
export type Level = -1 | 0 | 1 | 2;

export interface Fullness {
  all: Level;
  rows: Level[];
  columns: Level[];
  /** Of each handle: of each row. */
  handles: Level[][];
  /** Of each handle, over all rows. */
  handleHeaders: Level[];
}

const levelOf = (on: number, count: number): Level => (count ? (on === 0 ? 0 : on === count ? 2 : 1) : -1);

/** So many counters of cells that are on, and as many of cells that there are. */
const counters = (size: number): [on: Uint32Array, count: Uint32Array] => [
  new Uint32Array(size),
  new Uint32Array(size),
];
const levels = ([on, count]: [Uint32Array, Uint32Array]): Level[] =>
  Array.from(count, (n, i) => levelOf(on[i]!, n));
const sum = (numbers: Uint32Array) => numbers.reduce((a, b) => a + b, 0);

function bandFullness({ bands, first, absent }: Cells, on: BitSet, b: number): Fullness {
  const band = bands[b]!;
  const [height, width] = [band.rows.length, band.columns.length];
  const [rows, columns] = [counters(height), counters(width)];
  const handles = handlesOf(band).map(() => counters(height));
  const under = band.columns.map((_, c) => handles.filter((_, h) => handlesOf(band)[h]!.columns.includes(c)));
  let n = first[b]!;
  // Bits are read in place: this runs over all cells in each frame of a drag.
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++, n++) {
      if ((absent[n >> 3]! >> (n & 7)) & 1) continue;
      const add = (on[n >> 3]! >> (n & 7)) & 1;
      columns[1][column]!++;
      columns[0][column]! += add;
      rows[1][row]!++;
      rows[0][row]! += add;
      const mine = under[column]!;
      for (let k = 0; k < mine.length; k++) {
        mine[k]![1][row]!++;
        mine[k]![0][row]! += add;
      }
    }
  }
  return {
    all: levelOf(sum(rows[0]), sum(rows[1])),
    rows: levels(rows),
    columns: levels(columns),
    handles: handles.map(levels),
    handleHeaders: handles.map(([ons, counts]) => levelOf(sum(ons), sum(counts))),
  };
}

/** A set never changes once it is made, so what was counted of it stays true. */
const counted = new WeakMap<BitSet, [Cells, Fullness[]]>();

/** The fullness of each band. */
export function fullnessOf(cells: Cells, on: BitSet): Fullness[] {
  const known = counted.get(on);
  if (known?.[0] === cells) return known[1];
  const fresh = cells.bands.map((_, b) => bandFullness(cells, on, b));
  counted.set(on, [cells, fresh]);
  return fresh;
}
