/** The edits of the selection, each as one write to the model and one sentence for the live region. */
import { assign, type BitSet, equal, has } from "./bits";
import { block, groupName, nameOf, numberAt, type Position, samePosition } from "./cells";
import {
  type Brush,
  brushed,
  describe,
  everything,
  groupOf,
  invert,
  nothing,
  only,
  startBrush,
  switched,
  toggle,
} from "./selection";
import type { Sync } from "./sync";
import type { View } from "./view";

export class Editor {
  /** The cells that were on when they changed last. */
  #known: BitSet;
  readonly #sync: Sync;
  readonly #view: View;
  readonly #say: (sentence: string) => void;

  constructor(sync: Sync, view: View, say: (sentence: string) => void) {
    this.#sync = sync;
    this.#known = sync.on;
    this.#view = view;
    this.#say = say;
  }

  /** The cells as they are to be drawn: with the block of a running drag. */
  get shown(): BitSet {
    const { brush, cells } = this.#view;
    return brush ? brushed(cells, this.#sync.on, brush) : this.#sync.on;
  }

  /** Called when the cells may have changed, by whomever: a block can shrink only as long as nothing else happened. */
  cellsChanged(): void {
    const { on } = this.#sync;
    if (!equal(on, this.#known)) this.#view.base = null;
    this.#known = on;
  }

  /** Whether a cell is selected. */
  isOn(position: Position): boolean {
    const n = numberAt(this.#view.cells, position);
    return n >= 0 && has(this.#sync.on, n);
  }

  toggle(position: Position): void {
    const next = toggle(this.#view.cells, this.#sync.on, position);
    this.#view.anchor = position;
    this.#write(next, describe(this.#view.cells, position, position, next));
  }

  /** Only the cells of a position. */
  only(position: Position): void {
    const { cells } = this.#view;
    this.#view.anchor = position;
    this.#write(only(cells, position), `only ${nameOf(cells, position)} selected`, true);
  }

  /** The heads that share the key/value head of a spot's, on or off. */
  group(position: Position): void {
    const { cells } = this.#view;
    const members = groupOf(cells, position);
    const next = switched(this.#sync.on, members);
    const row = position.row < 0 ? "every row" : nameOf(cells, { ...position, column: -1 });
    const state = members.every((n) => has(next, n)) ? "selected" : "taken out";
    if (members.length) this.#write(next, `${row} ${groupName(cells, position)} ${state}`);
    else this.#say(`${nameOf(cells, position)} shares no key/value head`);
  }

  /** The block between the anchor and a position, both of which are cells: headers and handles are in no block. */
  extend(position: Position): void {
    const { cells, anchor: last } = this.#view;
    if (numberAt(cells, position) < 0) return;
    const base = this.#view.base ?? this.#sync.on;
    const anchor = last?.band === position.band && numberAt(cells, last) >= 0 ? last : position;
    const next = assign(base, block(cells, anchor, position), true);
    this.#write(next, describe(cells, anchor, position, next));
    this.#known = this.#sync.on;
    this.#view.anchor = anchor;
    this.#view.base = base;
  }

  startBrush(position: Position, alt: boolean): void {
    if (this.#view.live) this.#view.brush = startBrush(this.#view.cells, this.#sync.on, position, alt);
    this.#view.anchor = position;
    this.#view.base = null;
  }

  endBrush(brush: Brush): void {
    const next = brushed(this.#view.cells, this.#sync.on, brush);
    this.#view.brush = null;
    this.#write(next, describe(this.#view.cells, brush.from, brush.to, next));
  }

  // These three act on the whole model, whichever of its stacks is shown, as "full" and "none" do in a query.
  all(): void {
    this.#write(everything(this.#view.cells), "everything selected", true);
  }

  clear(): void {
    this.#write(nothing(this.#view.cells), "selection cleared", true);
  }

  invert(): void {
    this.#write(invert(this.#view.cells, this.#sync.on), "selection inverted");
  }

  /** These cells alone, or as well as what is selected; `what` says which they are. */
  choose(members: readonly number[], what: string, add: boolean): void {
    const base = add ? this.#sync.on : nothing(this.#view.cells);
    this.#view.base = null;
    this.#write(assign(base, members, true), `${what} ${add ? "added" : "selected"}`, !add);
  }

  /** How many cells a running drag covers, in words. */
  get brushText(): string {
    const { brush, cells } = this.#view;
    if (!brush || samePosition(brush.from, brush.to)) return "";
    const n = block(cells, brush.from, brush.to).length;
    return `${brush.add ? "add" : "remove"} ${n} cell${n === 1 ? "" : "s"}: ${nameOf(cells, brush.from)} to ${nameOf(cells, brush.to)}`;
  }

  /** Selects these cells, and with `whole` nothing else; says what was done, if anything was. */
  #write(next: BitSet, sentence: string, whole = false): void {
    if (this.#view.live && this.#sync.select(next, whole)) this.#say(sentence);
  }
}
