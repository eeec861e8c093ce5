/**
 * What crosses the wire, and nothing else: reads of the model's traits, and the three writes that a browser may do.
 *
 * Only event handlers call the writes. Handlers of changes never do, so nothing echoes. Every view reads back from the
 * shared model, its own edits included, so that several views of one widget agree.
 */
import { type BitSet, difference, equal, fromWire, toWire, without } from "./bits";
import { type Cells, readPlan } from "./cells";
import type { Summary, Text, Wire } from "./wire";

/** What headgrid uses of anywidget's model. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (...args: unknown[]) => void): void;
  off(name: string, callback: (...args: unknown[]) => void): void;
}

type Trait = keyof Wire;

export function readTrait<K extends Trait>(model: Model, trait: K): Partial<Wire[K]> | undefined {
  const value = model.get(trait);
  return value && typeof value === "object" ? (value as Partial<Wire[K]>) : undefined;
}

const NOTHING: Text = { selection: "none", counts: "", n_selected: 0, n_params: 0, query: 0, error: null };

export class Sync {
  cells!: Cells;
  on!: BitSet;
  partial!: BitSet;
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
    this.#reread("plan");
  }

  /** The version of the wire that Python speaks. */
  get version(): number {
    return readTrait(this.#model, "plan")?.version ?? 0;
  }

  get text(): Text {
    return { ...NOTHING, ...readTrait(this.#model, "text") };
  }

  /** The number of the last query that any view sent. */
  get asked(): number {
    return readTrait(this.#model, "query")?.n ?? 0;
  }

  /** The number of the last cell that any view asked about. */
  get focus(): { n: number; cell: number } {
    return { n: 0, cell: -1, ...readTrait(this.#model, "focus") };
  }

  /** The summary, unless it answers another question than the last one. */
  get summary(): Summary | null {
    const summary = readTrait(this.#model, "summary") as Summary | undefined;
    return summary?.places && summary.focus === this.focus.n && summary.cell >= 0 ? summary : null;
  }

  /** Calls back after each change of a trait, with the sets of cells read anew, until the signal aborts. */
  follow(signal: AbortSignal, changed: (trait: Trait) => void): void {
    const listen = (trait: Trait, before: () => void) => {
      const handler = () => {
        before();
        changed(trait);
      };
      this.#model.on(`change:${trait}`, handler);
      signal.addEventListener("abort", () => this.#model.off(`change:${trait}`, handler));
    };
    for (const trait of ["plan", "partial", "text"] as const) listen(trait, () => this.#reread(trait));
    listen("cells", () => {
      const before = this.on;
      this.on = this.#read("cells");
      // A cell that was just edited is no longer partial in the old sense; Python says so a moment later.
      this.partial = without(without(this.partial, difference(before, this.on)), this.on);
    });
    for (const trait of ["query", "focus", "summary"] as const) listen(trait, () => {});
  }

  /** Switches cells on and off. Returns whether anything changed. */
  select(on: BitSet): boolean {
    const next = without(on, this.cells.absent);
    if (equal(next, this.on)) return false;
    this.#model.set("cells", toWire(next));
    this.#model.save_changes();
    return true;
  }

  /** Asks Python to parse a text. Returns the question's number. */
  ask(text: string): number {
    const n = this.asked + 1;
    this.#model.set("query", { n, text });
    this.#model.save_changes();
    return n;
  }

  /** Asks Python to describe a cell. */
  inspect(cell: number): void {
    if (this.focus.cell === cell) return;
    this.#model.set("focus", { n: this.focus.n + 1, cell });
    this.#model.save_changes();
  }

  #reread(trait: Trait): void {
    if (trait === "plan") this.cells = readPlan(readTrait(this.#model, "plan") ?? {});
    this.on = this.#read("cells");
    this.partial = without(this.#read("partial"), this.on);
  }

  #read(trait: "cells" | "partial"): BitSet {
    return without(fromWire(this.#model.get(trait), this.cells.count), this.cells.absent);
  }
}
