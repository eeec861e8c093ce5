/**
 * The traits of the widget's model: typed reads, and the few writes that a browser may do.
 *
 * Only event handlers call the writes. Handlers of changes never do, so nothing echoes. Every view reads back from the
 * shared model, its own edits included, so that several views of one widget agree. An edit is a command: it says what is to
 * be switched, and is shown on whatever there is until Python has done it.
 */

import { atEnd, freshId } from "../dom/elements";
import { type BitSet, equal, fromText, fromWire, has, toText, union, without } from "./bits";
import { type CellValues, readValues } from "./cell_values";
import { type Cells, readSpec } from "./cells";
import { CodeSync } from "./code_sync";
import { type HeadRows, readHeadRows } from "./head_rows";
import { LIVE_TRAITS, LiveSync, type ReadTrait, type WriteTrait } from "./live_sync";
import type {
  Arrows,
  Command,
  CompletionList,
  ExerciseState,
  Focus,
  HeadsSummary,
  History,
  ProgressState,
  Recolor,
  SavedSelection,
  Summary,
  Text,
  Wire,
} from "./wire";

/** What headgrid uses of anywidget's model. */
export interface Model {
  /** Whether it stands in for a kernel on a page that has none: it does commands, and computes nothing. */
  readonly isPage?: boolean;
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (...args: unknown[]) => void): void;
  off(name: string, callback: (...args: unknown[]) => void): void;
}

export type Trait = keyof Wire;
export type Ln = Focus["ln"];

/** The traits on which the sets of cells depend. */
const CELLS: Trait[] = ["spec", "cells", "partial", "commands", "history"];
/** The traits on which the colors depend. */
const COLORS: Trait[] = ["spec", "colors", "recolor"];
/** The traits that are read when they are needed, and not cached here. */
const OTHERS: Trait[] = [
  ...(["text", "focus", "summary", "selected_heads", "arrows", "progress"] as const),
  ...(["completions", "saved", "precomputed", "heads_table", "code", "exercise"] as const),
  ...LIVE_TRAITS,
];

/** The name of this page in its commands; no two pages have the same. */
const PAGE = freshId();

/** The commands that are steps of the history. */
const CHANGES: Command["do"][] = ["edit", "only", "query", "recall"];

const NO_SUMMARY = { notes: [], ln: "folded", tabs: [], circuits: [], partners: null, pending: [] } as const;
const NO_EXERCISE: ExerciseState = {
  ...{ name: "", ask: "", state: "open", sign: "", said: "", feedback: "", line: "", clicks: false },
  ...{ tries: 0, pending: false },
};
const NOTHING: Text = { selection: "none", counts: "", n_selected: 0, n_params: 0, query: 0, error: null };

/** Of each widget, the views on this page that show what heads do: it is computed as long as any of them does. */
const OPEN = new WeakMap<Model, Set<LiveSync>>();

export class Sync {
  cells!: Cells;
  on!: BitSet;
  partial!: BitSet;
  /** The colors of the cells; null where they have none, or where those of another question are there. */
  cellValues!: CellValues | null;
  /** What heads do on a text. */
  readonly onText: LiveSync;
  /** The selection as code. */
  readonly code: CodeSync;
  readonly #model: Model;
  #rows: HeadRows | null = null;
  /** What the rows were read from. */
  #rowsOf: unknown[] = [];

  constructor(model: Model) {
    this.#model = model;
    const read: ReadTrait = (trait) => this.#read(trait);
    const write: WriteTrait = (trait, value) => this.#write(trait, value);
    const open = OPEN.get(model) ?? new Set();
    OPEN.set(model, open);
    this.onText = new LiveSync(read, write, open);
    this.code = new CodeSync(read, write);
    this.#reread("spec");
  }

  /** What is in a trait now, of which any part may be missing. */
  #read<K extends Trait>(trait: K): Partial<Wire[K]> | undefined {
    const value = this.#model.get(trait);
    return value && typeof value === "object" ? (value as Partial<Wire[K]>) : undefined;
  }

  /** Whether there is no kernel, and the page itself does what it can. */
  get isPage(): boolean {
    return this.#model.isPage === true;
  }

  /** The version of the wire that Python speaks. */
  get version(): number {
    return this.#read("spec")?.version ?? 0;
  }

  get text(): Text {
    return { ...NOTHING, ...this.#read("text") };
  }

  /** The last cell that any view asked about, and how its weights are to be read. */
  get focus(): Focus {
    return { n: 0, cell: -1, ln: "folded", ...this.#read("focus") };
  }

  /** The last colors that any view asked for. */
  get recolored(): Recolor {
    return { n: 0, metric: "", ln: "folded", ...this.#read("recolor") };
  }

  /** The metric that the cells are colored by, or will be once Python has answered; "" for none and for other values. */
  get metric(): string {
    return this.#colors ? (this.cellValues?.metric ?? "") : this.recolored.metric;
  }

  /** Why there are no colors; "" where there are, or where none were asked for. */
  get colorError(): string {
    return this.#colors?.error ?? "";
  }

  get progress(): ProgressState {
    return { label: "", done: 0, total: 0, ...this.#read("progress") };
  }

  /** How many steps the selection can go back and forth, those that were asked for and not done yet taken off. */
  get history(): History {
    let { undo = 0, redo = 0 } = this.#read("history") ?? {};
    for (const { do: what } of this.#waiting) {
      const steps = what === "undo" ? Math.min(1, undo) : what === "redo" ? -Math.min(1, redo) : 0;
      undo -= steps;
      redo += steps;
      if (CHANGES.includes(what)) [undo, redo] = [undo + 1, 0];
    }
    return { done: this.#done, undo, redo };
  }

  /** The question that is asked of the grid; without a name where there is none. */
  get exercise(): ExerciseState {
    return { ...NO_EXERCISE, ...this.#read("exercise") };
  }

  /** The selections that have names. */
  get saved(): readonly SavedSelection[] {
    return this.#read("saved")?.items ?? [];
  }

  /** The summary of the cell in focus; null while it answers an older question. */
  get summary(): Summary | null {
    const summary = this.#read("summary");
    if (!summary?.locations || summary.focus !== this.focus.n || (summary.cell ?? -1) < 0) return null;
    return { ...NO_SUMMARY, ...summary } as Summary;
  }

  /** The summary of a cell that a page without a kernel brought along, with these norms if it has it; null if it has none. */
  precomputed(cell: number, ln: Ln): Summary | null {
    const all = this.#read("precomputed");
    const found = (Array.isArray(all) ? (all as Summary[]) : []).filter((summary) => summary.cell === cell);
    const summary = found.find((one) => one.ln === ln) ?? found[0];
    return summary ? { ...NO_SUMMARY, ...summary } : null;
  }

  /** The selected heads side by side, without those that were deselected since; null for fewer than two. */
  get selectedHeads(): HeadsSummary | null {
    const { heads = [], n_heads = 0, ...rest } = this.#read("selected_heads") ?? {};
    if (n_heads < 2) return null;
    const still = heads.filter(({ cell }) => has(this.on, cell));
    const { ln } = this.focus;
    const pending = rest.pending || still.length < heads.length || (rest.ln ?? ln) !== ln;
    return { summed: null, ln, ...rest, heads: still, n_heads, pending };
  }

  /** The metrics of all selected heads, without those that were deselected since; null where there are none. */
  get headRows(): HeadRows | null {
    const table = this.#read("heads_table");
    const { ln } = this.focus;
    const key = [table, this.on, ln];
    // The same object as long as nothing changed, so that who shows it can tell.
    if (key.some((part, k) => part !== this.#rowsOf[k])) {
      this.#rowsOf = key;
      this.#rows = readHeadRows(table, this.on, ln);
    }
    return this.#rows;
  }

  /** Composition among the selected heads, without the arrows of those that were deselected since. */
  get arrows(): Arrows {
    const { arrows = [], baseline = 0, fence = null, note = "" } = this.#read("arrows") ?? {};
    const isOn = (cell: number) => has(this.on, cell);
    return { arrows: arrows.filter((a) => isOn(a.source) && isOn(a.target)), baseline, fence, note };
  }

  /** The completions of the text in the query box; null while they answer an older text. */
  get completions(): CompletionList | null {
    const answer = this.#read("completions");
    if (!answer?.items || answer.complete !== this.#read("complete")?.n) return null;
    return { start: 0, end: 0, ...answer } as CompletionList;
  }

  /** Calls back after each change of a trait, with the sets of cells read anew, until the signal aborts. */
  follow(signal: AbortSignal, changed: (trait: Trait) => void): void {
    for (const trait of new Set([...CELLS, ...COLORS, ...OTHERS])) {
      const handler = () => {
        this.#reread(trait);
        changed(trait);
      };
      this.#model.on(`change:${trait}`, handler);
      atEnd(signal, () => this.#model.off(`change:${trait}`, handler));
    }
  }

  /**
   * Switches cells on and off: those that differ, or with `only` all of them, what is selected of partial ones included.
   * Returns whether that changes anything.
   */
  select(on: BitSet, only = false): boolean {
    const next = without(on, this.cells.absent);
    const isMore = only && (this.#waiting.length > 0 || this.partial.some(Boolean));
    if (equal(next, this.on) && !isMore) return false;
    if (only) this.command("only", "", toText(next));
    else this.command("edit", "", toText(without(next, this.on)), toText(without(this.on, next)));
    return true;
  }

  /** Asks Python to do something once. Returns the command's number, which `history.done` reaches. */
  command(what: Command["do"], name = "", value = "", off = ""): number {
    const n = Math.max(this.#done, this.#commands.at(-1)?.n ?? 0) + 1;
    this.#write("commands", [...this.#waiting, { n, by: PAGE, do: what, name, value, off }]);
    return n;
  }

  /** Asks Python for completions at an offset of a text. Returns the question's number. */
  complete(text: string, at: number): number {
    const n = (this.#read("complete")?.n ?? 0) + 1;
    this.#write("complete", { n, text, at });
    return n;
  }

  /** Asks Python to describe a cell, with the norms folded or not. */
  inspect(cell: number, ln = this.focus.ln): void {
    const last = this.focus;
    if (last.cell === cell && last.ln === ln) return;
    this.#write("focus", { n: last.n + 1, cell, ln });
  }

  /** Asks Python to color the cells by a metric; "" for no colors, which also stops what runs. */
  recolor(metric: string, ln = this.focus.ln): void {
    this.#write("recolor", { n: this.recolored.n + 1, metric, ln });
  }

  /** The commands that Python has not done yet. */
  get #waiting(): Command[] {
    return this.#commands.filter(({ n }) => n > this.#done);
  }

  get #done(): number {
    return this.#read("history")?.done ?? 0;
  }

  /** The colors, unless they answer an older question than the last one; Python's own answer all that were asked before. */
  get #colors(): Partial<Wire["colors"]> | null {
    const colors = this.#read("colors") ?? {};
    return (colors.recolor ?? 0) === this.recolored.n ? colors : null;
  }

  get #commands(): Command[] {
    const commands = this.#read("commands");
    return Array.isArray(commands) ? (commands as Command[]) : [];
  }

  #write<K extends Trait>(trait: K, value: Wire[K]): void {
    this.#model.set(trait, value);
    this.#model.save_changes();
  }

  #reread(trait: Trait): void {
    if (trait === "spec") this.cells = readSpec(this.#read("spec") ?? {});
    if (COLORS.includes(trait)) this.cellValues = readValues(this.#colors, this.cells);
    if (!CELLS.includes(trait)) return;
    this.on = this.#bits("cells");
    this.partial = this.#bits("partial");
    for (const { do: what, value, off } of this.#waiting) {
      if (what !== "edit" && what !== "only") continue;
      const [added, taken] = [value, off].map((text) => fromText(text, this.cells.count)) as [BitSet, BitSet];
      if (what === "only") this.partial = this.on = without(this.on, this.on);
      this.on = union(without(this.on, taken), added);
      this.partial = without(this.partial, taken);
    }
    this.partial = without(this.partial, this.on);
  }

  #bits(trait: "cells" | "partial"): BitSet {
    return without(fromWire(this.#model.get(trait), this.cells.count), this.cells.absent);
  }
}
