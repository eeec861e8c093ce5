/** The history and the saved selections of the fake kernel. */
import { type BitSet, equal, fromText, union, without } from "../src/model/bits";
import type { Command, History, SavedSelections } from "../src/model/wire";
import { toWire } from "./bytes";

const COLORS = ["#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2"];

export class FakeHistory {
  readonly #undo: BitSet[] = [];
  #redo: BitSet[] = [];
  readonly #named = new Map<string, { bits: BitSet; color: string; text: string; counts: string }>();
  #now: BitSet;
  #done = 0;

  constructor(now: BitSet) {
    this.#now = now;
  }

  get now(): BitSet {
    return this.#now;
  }

  get history(): History {
    return { done: this.#done, undo: this.#undo.length, redo: this.#redo.length };
  }

  get saved(): SavedSelections {
    const items = [...this.#named].map(([name, { bits, ...rest }]) => ({
      name,
      ...rest,
      cells: toWire(bits),
    }));
    return { items };
  }

  edit(next: BitSet): void {
    if (equal(next, this.#now)) return;
    this.#undo.push(this.#now);
    this.#redo = [];
    this.#now = next;
  }

  save(name: string, bits: BitSet, words: { selection: string; counts: string }): void {
    const color = this.#named.get(name)?.color ?? COLORS[this.#named.size % COLORS.length]!;
    this.#named.set(name, { bits, color, text: words.selection, counts: words.counts });
  }

  /** Does a command. Returns why it was refused, or "". */
  do({ n, do: what, name, value, off }: Command, words: { selection: string; counts: string }): string {
    this.#done = n;
    const known = this.#named.get(name);
    const bits = (text: string) => fromText(text, 8 * this.#now.length);
    if (what === "query") return "";
    if (what === "only") this.edit(bits(value));
    else if (what === "edit") this.edit(union(without(this.#now, bits(off)), bits(value)));
    else if (what === "undo" || what === "redo") {
      const [from, to] = what === "undo" ? [this.#undo, this.#redo] : [this.#redo, this.#undo];
      const next = from.pop();
      if (!next) return "";
      to.push(this.#now);
      this.#now = next;
    } else if (what === "save") {
      if (name === "full")
        return "a saved selection cannot be called 'full', which selects everything; choose another name";
      this.save(name, this.#now, words);
    } else if (!known) {
      return `no saved selection is called '${name}'; there are: ${[...this.#named.keys()].join(", ") || "none"}`;
    } else if (what === "recall") this.edit(known.bits);
    else if (what === "remove") this.#named.delete(name);
    else this.#named.set(name, { ...known, color: value });
    return "";
  }
}
