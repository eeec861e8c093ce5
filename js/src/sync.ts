/**
 * What crosses the wire, and nothing else: reads of the model's traits, and the six writes that a browser may do.
 *
 * Only event handlers call the writes. Handlers of changes never do, so nothing echoes. Every view reads back from the
 * shared model, its own edits included, so that several views of one widget agree.
 */
import { type BitSet, checksum, difference, equal, fromWire, has, toWire, without } from "./bits";
import { type Cells, readPlan } from "./cells";
import { readShades, type Shades } from "./shades";
import type {
  Arrows,
  Comparison,
  Completions,
  Deed,
  Focus,
  History,
  Progress,
  Recolour,
  SavedSelection,
  Summary,
  Text,
  Wire,
} from "./wire";

/** What headgrid uses of anywidget's model. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (...args: unknown[]) => void): void;
  off(name: string, callback: (...args: unknown[]) => void): void;
}

export type Trait = keyof Wire;
export type Ln = Focus["ln"];

export function readTrait<K extends Trait>(model: Model, trait: K): Partial<Wire[K]> | undefined {
  const value = model.get(trait);
  return value && typeof value === "object" ? (value as Partial<Wire[K]>) : undefined;
}

/** The traits of which nothing is kept here: they are read when they are needed. */
const SIMPLE = [
  ...["query", "focus", "summary", "comparison", "arrows", "progress"],
  ...["complete", "completions", "deeds", "saved", "panel", "kept"],
] as Trait[];

const NOTHING: Text = { selection: "none", counts: "", n_selected: 0, n_params: 0, query: 0, error: null };

const UNKNOWN = { notes: [], ln: "folded", tabs: [], circuits: [], partners: null, pending: [] } as const;

export class Sync {
  cells!: Cells;
  on!: BitSet;
  partial!: BitSet;
  /** The colours of the cells; null where they have none, or where those of another question are there. */
  shades!: Shades | null;
  /** Whether something was edited here that Python has not counted among its steps yet. */
  #ahead = false;
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

  /** The last cell that any view asked about, and how its weights are to be read. */
  get focus(): Focus {
    return { n: 0, cell: -1, ln: "folded", ...readTrait(this.#model, "focus") };
  }

  /** The summary, unless it answers another question than the last one. */
  get summary(): Summary | null {
    const summary = readTrait(this.#model, "summary");
    if (!summary?.places || summary.focus !== this.focus.n || (summary.cell ?? -1) < 0) return null;
    return { ...UNKNOWN, ...summary } as Summary;
  }

  /** The selected heads side by side; those that were taken out since are left out. */
  get comparison(): Comparison | null {
    const { heads = [], n_heads = 0, ...rest } = readTrait(this.#model, "comparison") ?? {};
    if (n_heads < 2) return null;
    const still = heads.filter(({ cell }) => has(this.on, cell));
    const { ln } = this.focus;
    const pending = rest.pending || still.length < heads.length || (rest.ln ?? ln) !== ln;
    return { summed: null, ln, ...rest, heads: still, n_heads, pending };
  }

  /** Composition among the selected heads, without the arrows of those that were taken out since. */
  get arrows(): Arrows {
    const { arrows = [], baseline = 0, note = "" } = readTrait(this.#model, "arrows") ?? {};
    const isOn = (cell: number) => has(this.on, cell);
    return { arrows: arrows.filter((a) => isOn(a.source) && isOn(a.target)), baseline, note };
  }

  /** The last colours that any view asked for. */
  get recoloured(): Recolour {
    return { n: 0, metric: "", ln: "folded", ...readTrait(this.#model, "recolour") };
  }

  /** Why there are no colours; "" where there are, or where none were asked for. */
  get colourError(): string {
    return this.#colours?.error ?? "";
  }

  get progress(): Progress {
    return { label: "", done: 0, total: 0, ...readTrait(this.#model, "progress") };
  }

  /** How many steps the selection can go back and forth, those that were asked for and not done yet taken off. */
  get history(): History {
    const known = readTrait(this.#model, "history");
    let { undo = 0, redo = 0 } = known ?? {};
    if (this.#ahead && known) [undo, redo] = [Math.max(1, undo), 0];
    for (const { do: what } of this.#waiting) {
      const steps = what === "undo" ? Math.min(1, undo) : what === "redo" ? -Math.min(1, redo) : 0;
      undo -= steps;
      redo += steps;
    }
    return { done: this.#done, undo, redo };
  }

  /** The selections that have names. */
  get saved(): readonly SavedSelection[] {
    return readTrait(this.#model, "saved")?.items ?? [];
  }

  /** What may stand in the box, unless it answers an older text than the last. */
  get completions(): Completions | null {
    const answer = readTrait(this.#model, "completions");
    if (!answer?.items || answer.complete !== readTrait(this.#model, "complete")?.n) return null;
    return { start: 0, end: 0, ...answer } as Completions;
  }

  /** The code of the inspector; "" until it has come. */
  get panel(): string {
    return String(this.#model.get("panel") ?? "");
  }

  /** The description of a cell that a page without a kernel brought along; rather of these norms than of others. */
  kept(cell: number, ln: Ln): Summary | null {
    const kept = this.#list("kept").filter((summary) => summary.cell === cell);
    const summary = kept.find((one) => one.ln === ln) ?? kept[0];
    return summary ? { ...UNKNOWN, ...summary } : null;
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
    for (const trait of ["plan", "partial", "colours", "recolour"] as const)
      listen(trait, () => this.#reread(trait));
    for (const trait of ["text", "history"] as const)
      listen(trait, () => {
        this.#ahead = false;
        this.#reread(trait);
      });
    listen("cells", () => {
      const before = this.on;
      this.on = this.#read("cells");
      // A cell that was just edited is no longer partial in the old sense; Python says so a moment later.
      this.partial = without(without(this.partial, difference(before, this.on)), this.on);
    });
    for (const trait of SIMPLE) listen(trait, () => {});
  }

  /** Switches cells on and off. Returns whether anything changed. */
  select(on: BitSet): boolean {
    const next = without(on, this.cells.absent);
    if (equal(next, this.on)) return false;
    this.#ahead = true;
    this.#write("cells", toWire(next));
    return true;
  }

  /** Asks Python to do something once. Returns the deed's number, which `history.done` reaches. */
  deed(what: Deed["do"], name = "", value = ""): number {
    const n = Math.max(this.#done, this.#list("deeds").at(-1)?.n ?? 0) + 1;
    this.#write("deeds", [...this.#waiting, { n, do: what, name, value, seen: checksum(this.on) }]);
    return n;
  }

  /** Asks Python what may stand in a text at a place. Returns the question's number. */
  complete(text: string, at: number): number {
    const n = (readTrait(this.#model, "complete")?.n ?? 0) + 1;
    this.#write("complete", { n, text, at });
    return n;
  }

  /** Asks Python to parse a text. Returns the question's number. */
  ask(text: string): number {
    const n = this.asked + 1;
    this.#ahead = true;
    this.#write("query", { n, text });
    return n;
  }

  /** Asks Python to describe a cell, with the norms folded or not. */
  inspect(cell: number, ln = this.focus.ln): void {
    const last = this.focus;
    if (last.cell === cell && last.ln === ln) return;
    this.#write("focus", { n: last.n + 1, cell, ln });
  }

  /** Asks Python for the second module, where it has not come yet. */
  wake(): void {
    const last = this.focus;
    if (!this.panel && last.n === 0) this.#write("focus", { ...last, n: 1 });
  }

  /** Asks Python to colour the cells by a metric; "" for no colours, which also stops what runs. */
  recolour(metric: string, ln = this.focus.ln): void {
    this.#write("recolour", { n: this.recoloured.n + 1, metric, ln });
  }

  /** The deeds that Python has not done yet. */
  get #waiting(): Deed[] {
    return this.#list("deeds").filter(({ n }) => n > this.#done);
  }

  get #done(): number {
    return readTrait(this.#model, "history")?.done ?? 0;
  }

  /** The colours, unless they answer another question than the last one; Python's own answer none. */
  get #colours(): Partial<Wire["colours"]> | null {
    const colours = readTrait(this.#model, "colours") ?? null;
    const { recolour = 0 } = colours ?? {};
    return recolour === 0 || recolour === this.recoloured.n ? colours : null;
  }

  #list<K extends "deeds" | "kept">(trait: K): Wire[K] {
    const list = this.#model.get(trait);
    return (Array.isArray(list) ? list : []) as Wire[K];
  }

  #write<K extends Trait>(trait: K, value: Wire[K]): void {
    this.#model.set(trait, value);
    this.#model.save_changes();
  }

  #reread(trait: Trait): void {
    if (trait === "plan") this.cells = readPlan(readTrait(this.#model, "plan") ?? {});
    if (trait === "plan" || trait === "colours" || trait === "recolour")
      this.shades = readShades(this.#colours, this.cells);
    if (trait === "colours" || trait === "recolour") return;
    this.on = this.#read("cells");
    this.partial = without(this.#read("partial"), this.on);
  }

  #read(trait: "cells" | "partial"): BitSet {
    return without(fromWire(this.#model.get(trait), this.cells.count), this.cells.absent);
  }
}
