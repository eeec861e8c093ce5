/**
 * Stands in for the kernel on a page that has none: it does the commands of the browser itself, in memory, and answers
 * what the page brought along. What it cannot do it says.
 */
import { fromText, fromWire, has } from "../model/bits";
import { readCells } from "../model/cell_words";
import { type Cells, readSpec } from "../model/cells";
import { NO_EFFECT } from "../model/live_sync";
import {
  edited,
  type PageSelection,
  partialOf,
  sameSelection,
  selectionOf,
  textOf,
  wholeCells,
} from "../model/page_selection";
import { SAVED } from "../model/style";
import type { Model } from "../model/sync";
import type {
  Command,
  Focus,
  GridSpec,
  HeadsSummary,
  LiveQuery,
  QueryError,
  Recolor,
  SavedSelection,
  Text,
  Thumbnails,
} from "../model/wire";
import * as answers from "./page_answers";

/** The steps that can be undone. */
const STEPS = 200;
export class PageModel implements Model {
  /** That there is no kernel, though commands are done. */
  readonly isPage = true;
  readonly #state: Record<string, unknown>;
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #dirty = new Set<string>();
  readonly #cells: Cells;
  readonly #store: answers.PageStore;
  /** What Python left, and all that it says of that alone. */
  readonly #first: { selection: PageSelection; text: Text; effect: unknown; beside: unknown };
  #past: PageSelection[] = [];
  #future: PageSelection[] = [];
  #now: PageSelection;
  #done: number;

  constructor(state: Record<string, unknown>) {
    const spec = state.spec as GridSpec;
    this.#store = answers.storeOf(state);
    const metrics = answers.metricsOf(this.#store, spec.metrics);
    this.#state = { ...state, spec: { ...spec, metrics }, commands: [] };
    this.#cells = readSpec(this.#state.spec as GridSpec);
    const text = state.text as Text;
    const { count } = this.#cells;
    this.#now = selectionOf(
      this.#cells,
      text.selection,
      fromWire(state.cells, count),
      fromWire(state.partial, count),
    );
    this.#first = { selection: this.#now, text, effect: state.effect, beside: state.selected_heads };
    this.#done = (state.history as { done?: number } | undefined)?.done ?? 0;
    this.#state.history = { done: this.#done, undo: 0, redo: 0 };
    const task = (state.task_state ?? {}) as Record<string, unknown>;
    this.#state.task_state = { ...task, available: this.#store.views.length > 0 };
    this.#about();
  }

  get(name: string): unknown {
    return this.#state[name];
  }

  set(name: string, value: unknown): void {
    this.#state[name] = value;
    this.#dirty.add(name);
    this.#fire(name);
  }

  save_changes(): void {
    const names = [...this.#dirty];
    this.#dirty.clear();
    for (const name of names) this.#answer(name);
  }

  on(name: string, callback: () => void): void {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(callback));
  }

  off(name: string, callback: () => void): void {
    this.#listeners.get(name)?.delete(callback);
  }

  #fire(name: string): void {
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  /** Shows some traits, all of which are there before anybody is told. */
  #show(traits: Record<string, unknown>): void {
    Object.assign(this.#state, traits);
    for (const name of Object.keys(traits)) this.#fire(name);
  }

  get #focus(): Focus {
    return { n: 0, cell: -1, ln: "folded", ...(this.#state.focus as Partial<Focus>) };
  }

  get #query(): LiveQuery {
    return {
      n: 0,
      row: 0,
      panel: false,
      thumbnails: false,
      ...(this.#state.live_query as Partial<LiveQuery>),
    };
  }

  #answer(name: string): void {
    if (name === "commands") this.#do(this.#state.commands as Command[]);
    if (name === "live_query") this.#live();
    if (name === "focus") {
      const summary = answers.summaryOf(this.#store, this.#cells, this.#focus);
      this.#show({ focus: { ...this.#focus, ln: summary.ln }, summary });
      this.#about();
    }
    if (name === "recolor") {
      const asked = this.#state.recolor as Recolor;
      const none = { ...(this.#state.colors as object), metric: "", label: "", values: null, error: "" };
      this.#show({ colors: answers.colorsOf(this.#store, asked) ?? { ...none, recolor: asked.n } });
    }
  }

  #live(): void {
    const query = this.#query;
    this.#show({
      live: answers.liveOf(this.#store, query, this.#focus, this.#now.on),
      ...(query.thumbnails ? { thumbnails: this.#thumbnails(query) } : {}),
    });
  }

  /** The small patterns that came with the page where it has more of them than large ones. */
  #thumbnails(query: LiveQuery): Thumbnails {
    const kept = this.#state.thumbnails as Thumbnails | undefined;
    const made = answers.thumbnailsOf(this.#store, query);
    const isMore = kept?.row === query.row && kept.size > 0 && kept.cells.length >= made.cells.length;
    return isMore ? { ...kept, query: query.n, pending: false } : made;
  }

  /** What is said of the selected heads and of the one that is looked at. */
  #about(): void {
    const { ln } = this.#focus;
    const heads = this.#heads();
    const isFirst = sameSelection(this.#now, this.#first.selection);
    const { metrics } = this.#state.spec as GridSpec;
    const beside = answers.besideOf(this.#store, heads, ln);
    const kept = this.#first.beside as HeadsSummary;
    this.#show({
      effect: isFirst ? this.#first.effect : NO_EFFECT,
      selected_heads:
        isFirst && kept?.heads.length && (!beside.n_heads || beside.ln === kept.ln) ? kept : beside,
      heads_table: answers.headsTableOf(this.#store, metrics, heads, ln),
    });
    this.#live();
  }

  #heads(): number[] {
    const { bands, first } = this.#cells;
    return bands.flatMap(({ rows, columns }, b) =>
      Array.from({ length: rows.length * columns.length }, (_, k) => first[b]! + k).filter(
        (n) => columns[(n - first[b]!) % columns.length]!.kind === "head" && has(this.#now.on, n),
      ),
    );
  }

  #do(commands: readonly Command[]): void {
    let error: QueryError | null = null;
    let answered = (this.#state.text as Text).query ?? 0;
    for (const command of commands) {
      if (command.n <= this.#done) continue;
      this.#done = command.n;
      const fault = this.#one(command);
      if (command.do === "query" || fault) [answered, error] = [command.n, fault];
    }
    const { on } = this.#now;
    const { n_params } = this.#first.text;
    const isFirst = sameSelection(this.#now, this.#first.selection);
    const said = isFirst ? this.#first.text : textOf(this.#cells, this.#now, n_params);
    this.#show({
      cells: wire(on),
      partial: wire(partialOf(this.#cells, this.#now)),
      text: { ...said, query: answered, error },
      history: { done: this.#done, undo: this.#past.length, redo: this.#future.length },
    });
    this.#about();
  }

  /** Does one command; returns why it was not done. */
  #one({ do: what, name, value, off }: Command): QueryError | null {
    const { count } = this.#cells;
    if (what === "undo" || what === "redo") this.#step(what);
    else if (what === "edit")
      this.#change(edited(this.#cells, this.#now, fromText(value, count), fromText(off, count)));
    else if (what === "only") this.#change(wholeCells(fromText(value, count)));
    else if (what === "query") return this.#select(value);
    else return this.#savedSelections(what, name, value);
    return null;
  }

  #step(what: "undo" | "redo"): void {
    const [from, to] = what === "undo" ? [this.#past, this.#future] : [this.#future, this.#past];
    const next = from.pop();
    if (!next) return;
    to.push(this.#now);
    this.#now = next;
  }

  #change(next: PageSelection): void {
    if (sameSelection(next, this.#now)) return;
    this.#past = [...this.#past, this.#now].slice(-STEPS);
    this.#future = [];
    this.#now = next;
  }

  #select(text: string): QueryError | null {
    if (text.trim() === this.#first.text.selection) {
      this.#change(this.#first.selection);
      return null;
    }
    const { on, error } = readCells(this.#cells, text);
    if (on) this.#change(wholeCells(on));
    return error;
  }

  #savedSelections(what: Command["do"], name: string, value: string): QueryError | null {
    const items = (this.#state.saved as { items?: SavedSelection[] } | undefined)?.items ?? [];
    const refused = (message: string): QueryError => ({ message, start: 0, end: 0 });
    const put = (next: SavedSelection[]) => this.#show({ saved: { items: next } });
    const found = items.find((item) => item.name === name);
    const others = items.filter((item) => item !== found);
    if (what === "save") {
      const label = name.trim();
      if (!label) return refused("A saved selection needs a name.");
      const { selection: text, counts } = textOf(this.#cells, this.#now, 0);
      if (text === "none")
        return refused(`There is nothing selected to be saved as ${JSON.stringify(label)}.`);
      const used = (color: string) => items.filter((item) => item.color === color).length;
      const color =
        found?.color ?? SAVED.reduce<string>((best, one) => (used(one) < used(best) ? one : best), SAVED[0]);
      const some = partialOf(this.#cells, this.#now).map((byte, k) => byte | this.#now.on[k]!);
      put([
        ...items.filter((item) => item.name !== label),
        { name: label, text, counts, color, cells: wire(some) },
      ]);
      return null;
    }
    if (!found) return refused(`No selection is saved as ${JSON.stringify(name)}.`);
    if (what === "remove") put(others);
    if (what === "tint") put(items.map((item) => (item === found ? { ...item, color: value } : item)));
    if (what !== "recall") return null;
    const error = this.#select(found.text);
    if (!error) return null;
    // Python's text may be richer than what is read here; where all of its cells are whole they say it all.
    if (!/parts of|also serve/.test(found.counts)) {
      this.#change(wholeCells(fromWire(found.cells, this.#cells.count)));
      return null;
    }
    return refused(`${JSON.stringify(name)} has parts that only Python can select: ${found.text}`);
  }
}

const wire = (bits: Uint8Array<ArrayBuffer>): DataView =>
  new DataView(bits.buffer, bits.byteOffset, bits.byteLength);
