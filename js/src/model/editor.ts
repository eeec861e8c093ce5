/** Every edit that a user can make, each as one write to the model and one sentence for the live region. */
import { assign, type BitSet, equal, has } from "./bits";
import { block, groupName, nameOf, numberAt, type Spot, sameSpot } from "./cells";
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

  toggle(spot: Spot): void {
    const next = toggle(this.#view.cells, this.#sync.on, spot);
    this.#view.anchor = spot;
    this.#write(next, describe(this.#view.cells, spot, spot, next));
  }

  /** Only the cells of a spot. */
  only(spot: Spot): void {
    const { cells } = this.#view;
    this.#view.anchor = spot;
    this.#write(only(cells, spot), `only ${nameOf(cells, spot)} selected`, true);
  }

  /** The heads that share the key/value head of a spot's, on or off. */
  group(spot: Spot): void {
    const { cells } = this.#view;
    const members = groupOf(cells, spot);
    const next = switched(this.#sync.on, members);
    const row = spot.row < 0 ? "every row" : nameOf(cells, { ...spot, column: -1 });
    const state = members.every((n) => has(next, n)) ? "selected" : "taken out";
    if (members.length) this.#write(next, `${row} ${groupName(cells, spot)} ${state}`);
    else this.#say(`${nameOf(cells, spot)} shares no key/value head`);
  }

  /** The block between the anchor and a spot, both of which are cells: headers and handles have no place in a block. */
  extend(spot: Spot): void {
    const { cells, anchor: last } = this.#view;
    if (numberAt(cells, spot) < 0) return;
    const base = this.#view.base ?? this.#sync.on;
    const anchor = last?.band === spot.band && numberAt(cells, last) >= 0 ? last : spot;
    const next = assign(base, block(cells, anchor, spot), true);
    this.#write(next, describe(cells, anchor, spot, next));
    this.#known = this.#sync.on;
    this.#view.anchor = anchor;
    this.#view.base = base;
  }

  startBrush(spot: Spot, alt: boolean): void {
    if (this.#view.live) this.#view.brush = startBrush(this.#view.cells, this.#sync.on, spot, alt);
    this.#view.anchor = spot;
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

  /** How many cells a running drag covers, in words. */
  get brushText(): string {
    const { brush, cells } = this.#view;
    if (!brush || sameSpot(brush.from, brush.to)) return "";
    const n = block(cells, brush.from, brush.to).length;
    return `${brush.add ? "add" : "remove"} ${n} cell${n === 1 ? "" : "s"}: ${nameOf(cells, brush.from)} to ${nameOf(cells, brush.to)}`;
  }

  /** Selects these cells, and with `whole` nothing else; says what was done, if anything was. */
  #write(next: BitSet, sentence: string, whole = false): void {
    if (this.#view.live && this.#sync.select(next, whole)) this.#say(sentence);
  }
}
