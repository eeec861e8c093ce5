/** What clicks and keys do to the set of cells that are on. Pure: bits in, bits out. */
import { assign, type BitSet, empty, has, without } from "./bits";
import {
  block,
  type Cells,
  groupAt,
  membersOf,
  nameOf,
  numberAt,
  type Position,
  samePosition,
} from "./cells";

/** A cell changes its state; a header switches all its cells on, or off when all are on already. */
export function toggle(cells: Cells, on: BitSet, position: Position): BitSet {
  return switched(on, membersOf(cells, position));
}

/** The cells of a position, and nothing else. */
export function only(cells: Cells, position: Position): BitSet {
  return assign(empty(cells.count), membersOf(cells, position), true);
}

/** The heads that share the key/value head of a spot's: in its row, or in every row for a header; none if none do. */
export function groupOf(cells: Cells, { band, row, column }: Position): number[] {
  const group = groupAt(cells.bands[band], column);
  if (!group) return [];
  if (row < 0) return membersOf(cells, { band, row: -2, column });
  const [first, last] = group;
  return block(cells, { band, row, column: first }, { band, row, column: last });
}

/** Some cells switched on, or off when all are on already. */
export function switched(on: BitSet, members: readonly number[]): BitSet {
  return assign(on, members, !members.every((n) => has(on, n)));
}

export function invert(cells: Cells, on: BitSet): BitSet {
  return without(cells.present, on);
}

export function everything(cells: Cells): BitSet {
  return cells.present.slice();
}

export function nothing(cells: Cells): BitSet {
  return empty(cells.count);
}

/**
 * A running drag over a block of one band.
 *
 * A drag does to its block what a click does to the cell it starts on: from a cell that is off it switches on,
 * from a cell that is on it switches off. Alt always removes.
 */
export interface Brush {
  from: Position;
  to: Position;
  add: boolean;
}

export function startBrush(cells: Cells, on: BitSet, position: Position, alt: boolean): Brush {
  const n = numberAt(cells, position);
  const add = !alt && !(n >= 0 && has(on, n));
  return { from: position, to: position, add };
}

export function brushed(cells: Cells, on: BitSet, brush: Brush): BitSet {
  return assign(on, block(cells, brush.from, brush.to), brush.add);
}

/** One sentence on what a change did, for the live region. */
export function describe(cells: Cells, position: Position, to: Position, after: BitSet): string {
  const members = samePosition(position, to) ? membersOf(cells, position) : block(cells, position, to);
  const what = samePosition(position, to)
    ? nameOf(cells, position)
    : `${nameOf(cells, position)} to ${nameOf(cells, to)}`;
  return `${what} ${members.every((n) => has(after, n)) ? "selected" : "taken out"}`;
}
