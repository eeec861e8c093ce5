/** A fake kernel for the dev page: the same traits, and answers that look like Python's. */
import { assign, type BitSet, empty, equal, fromWire, has } from "../src/model/bits";
import {
  type Cells,
  nameOf,
  numberAt,
  type Position,
  positionOf,
  readSpec,
  wordOf,
} from "../src/model/cells";
import type { Model } from "../src/model/sync";
import type {
  Column,
  Command,
  Complete,
  Focus,
  GridSpec,
  LiveQuery,
  Prompt,
  Recolor,
  Summary,
  TaskState,
  Text,
} from "../src/model/wire";
import { toWire } from "./bytes";
import { arrowsAmong, chance, circuitsOfHead, circuitsOfMlp, METRICS } from "./fixtures";
import { FakeHistory } from "./history";
import { effectOf, NEXT, NO_LIVE, patternOf, taskOf, thumbnailsOf, tokensOf } from "./live";

function plural(n: number, noun: string): string {
  return n ? `${n} ${noun}${n === 1 ? "" : "s"}` : "";
}

export class FakeModel implements Model {
  readonly state: Record<string, unknown>;
  saves = 0;
  readonly #listeners = new Map<string, Set<(...args: unknown[]) => void>>();
  readonly #cells: Cells;
  #answered = 0;
  readonly #history: FakeHistory;
  #dirty = new Set<string>();

  constructor(
    spec: GridSpec,
    selected: string[] = [],
    /** How long the answers take, in milliseconds. */
    private readonly slow = 120,
  ) {
    this.#cells = readSpec(spec);
    const on = assign(
      empty(this.#cells.count),
      selected.map((word) => this.#find(word)),
      true,
    );
    this.state = {
      spec,
      cells: toWire(on),
      partial: toWire(empty(this.#cells.count)),
      focus: { n: 0, cell: -1, ln: "folded" },
      recolor: { n: 0, metric: "", ln: "folded" },
      summary: { focus: 0, cell: -1, title: "", name: "", locations: [], notes: [] },
      text: {},
      complete: { n: 0, text: "", at: 0 },
      commands: [],
    };
    this.#history = new FakeHistory(on);
    this.#answerCells();
    this.#sendHistory();
    this.#compare();
  }

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    this.state[name] = value;
    this.#dirty.add(name);
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  save_changes(): void {
    this.saves++;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    setTimeout(() => this.#python(dirty), 20);
  }

  on(name: string, callback: (...args: unknown[]) => void): void {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(callback));
  }

  off(name: string, callback: (...args: unknown[]) => void): void {
    this.#listeners.get(name)?.delete(callback);
  }

  /** As ipywidgets does when the kernel goes. */
  fire(name: string): void {
    for (const listener of this.#listeners.get(name) ?? []) listener();
  }

  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  #find(word: string): number {
    for (let n = 0; n < this.#cells.count; n++)
      if (wordOf(this.#cells, positionOf(this.#cells, n)!) === word) return n;
    return -1;
  }

  #python(dirty: Set<string>): void {
    if (dirty.has("focus")) this.#answerFocus();
    if (dirty.has("commands")) this.#answerCommand();
    if (["focus", "commands"].some((trait) => dirty.has(trait))) this.#compare();
    if (dirty.has("prompt")) this.#answerPrompt();
    if (["focus", "commands", "live_query", "prompt"].some((trait) => dirty.has(trait))) this.#answerLive();
    if (dirty.has("complete")) this.#answerComplete();
    if (dirty.has("recolor")) this.#answerRecolor();
  }

  /** Gives the model a task, as Python does by itself; without rows it can be run, and has none. */
  ask(panel: boolean, thumbnails: boolean, ...rows: string[]): void {
    this.state.task_state = taskOf(...rows);
    this.state.live_query = { n: 0, row: 0, panel, thumbnails };
    this.#answerLive();
  }

  #answerPrompt(): void {
    const { n, text } = this.state.prompt as Prompt;
    const before = this.state.task_state as TaskState;
    const error = tokensOf(text).length
      ? ""
      : "The text has no tokens: type at least two words that this model's tokenizer knows, such as 'when mary and john went'.";
    const now = error ? before : taskOf(text);
    this.set("task_state", { ...now, prompt: n, typed: true, error });
    this.#dirty.clear();
  }

  #answerLive(): void {
    const { available, rows } = (this.state.task_state ?? {}) as Partial<TaskState>;
    if (!available || !rows) return;
    const { n, row, panel, thumbnails } = this.state.live_query as LiveQuery;
    const { n: focus, cell } = this.state.focus as Focus;
    const tokens = tokensOf(rows[row] ?? "");
    const selected = this.#heads(fromWire(this.state.cells, this.#cells.count)).map((one) => one.cell);
    const looked = this.#heads(this.#cells.present).some((one) => one.cell === cell) ? [cell] : [];
    const heads = [...new Set([...looked, ...selected])];
    const wordFor = (one: number) => wordOf(this.#cells, positionOf(this.#cells, one)!);
    const answer = { ...NO_LIVE, ...{ query: n, focus, row } };
    const patterns = heads.slice(0, 8).map((one) => patternOf(one, wordFor(one), tokens));
    if (panel && tokens.length)
      this.set("live", { ...answer, tokens, heads: patterns, n_heads: heads.length, next: NEXT });
    if (thumbnails && tokens.length) {
      const all = this.#heads(this.#cells.present).map((one) => one.cell);
      this.set("thumbnails", { query: n, row, ...thumbnailsOf(all, tokens) });
    }
    if (panel && tokens.length && selected.length)
      this.set("effect", effectOf((this.state.text as Text).selection, row));
    this.#dirty.clear();
  }

  /** Selects cells, as Python does by itself. */
  select(on: BitSet): void {
    this.#history.edit(on);
    if (!equal(on, fromWire(this.state.cells, this.#cells.count))) this.set("cells", toWire(on));
    this.#answerCells();
    this.#sendHistory();
  }

  /** Gives what is on a name, as Python does by itself. */
  save(name: string, ...words: string[]): void {
    const bits = assign(
      empty(this.#cells.count),
      words.map((word) => this.#find(word)),
      true,
    );
    this.#history.save(name, bits, { selection: words.join(" | "), counts: plural(words.length, "head") });
    this.#sendHistory();
  }

  #sendHistory(): void {
    this.set("history", this.#history.history);
    this.set("saved", this.#history.saved);
    this.#dirty.clear();
  }

  /** As in a file: what there is to say of some cells. */
  precompute(...words: string[]): void {
    this.state.precomputed = words.map((word) => {
      const cell = this.#find(word);
      const name = nameOf(this.#cells, positionOf(this.#cells, cell)!);
      const circuits = circuitsOfHead(cell, "folded");
      const [focus, tabs] = [0, ["ov", "qk"]];
      return {
        focus,
        cell,
        title: word,
        name,
        locations: [],
        notes: [],
        ln: "folded",
        tabs,
        circuits,
        pending: [],
      };
    });
  }

  #answerCommand(): void {
    let error: Text["error"] = null;
    for (const command of this.state.commands as Command[])
      if (command.n > this.#history.history.done) {
        const message = this.#history.do(command, this.state.text as Text);
        error =
          command.do === "query"
            ? this.#answerQuery(command)
            : message
              ? { message, start: 0, end: 0 }
              : null;
      }
    this.set("cells", toWire(this.#history.now));
    this.#answerCells();
    this.set("text", { ...(this.state.text as Text), error });
    this.#sendHistory();
  }

  #answerComplete(): void {
    const { n, text, at } = this.state.complete as Complete;
    const start = text.slice(0, at).search(/[^|,&()~-]*$/);
    const typed = text.slice(start, at).trimStart();
    const found = this.#words.filter(({ text }) => typed && text.startsWith(typed)).slice(0, 12);
    this.set("completions", { complete: n, start: at - typed.length, end: at, items: found });
    this.#dirty.clear();
  }

  get #words(): { text: string; note: string }[] {
    return Array.from({ length: this.#cells.count }, (_, n) => positionOf(this.#cells, n)!).map(
      (position) => ({
        text: wordOf(this.#cells, position),
        note: nameOf(this.#cells, position),
      }),
    );
  }

  #answerCells(): void {
    const cells = this.#cells;
    const on = fromWire(this.state.cells, cells.count);
    const members = Array.from({ length: cells.count }, (_, n) => n).filter((n) => has(on, n));
    const group = (n: number) => {
      const position = positionOf(cells, n)!;
      return { position, group: cells.bands[position.band]!.columns[position.column]!.group };
    };
    const partial = new Set<number>();
    for (const n of members.map(group).filter((m) => m.group >= 0)) {
      cells.bands[n.position.band]!.columns.forEach((column, c) => {
        const other = numberAt(cells, { ...n.position, column: c });
        if (column.group === n.group && other >= 0 && !has(on, other)) partial.add(other);
      });
    }
    this.set("partial", toWire(assign(empty(cells.count), partial, true)));
    const heads = members.filter((n) => this.#column(positionOf(cells, n)!).kind === "head").length;
    const rest = members.length - heads;
    const counts = [plural(heads, "head"), plural(rest, "other part")].filter(Boolean).join(", ");
    const words =
      members.length === cells.count
        ? "full"
        : members.map((n) => wordOf(cells, positionOf(cells, n)!)).join(" | ");
    this.set("text", {
      selection: words || "none",
      counts: counts || "nothing is selected",
      n_selected: members.length * 9312,
      n_params: cells.count * 9312,
      query: this.#answered,
      error: null,
    });
    this.#dirty.clear();
  }

  #column(position: Position): Column {
    return this.#cells.bands[position.band]!.columns[position.column]!;
  }

  /** Selects what a text says, or says what is wrong with it. */
  #answerQuery({ n, value }: Command): Text["error"] {
    this.#answered = n;
    const found: number[] = [];
    let at = 0;
    for (const word of value === "none" ? [] : value.split("|")) {
      const cell = this.#find(word.trim().toLowerCase());
      if (cell < 0) {
        const start = at + word.length - word.trimStart().length;
        const message = `no part is called ${JSON.stringify(word.trim())}; did you mean l1h2?`;
        return { message, start, end: start + word.trim().length };
      }
      found.push(cell);
      at += word.length + 1;
    }
    this.#history.edit(assign(empty(this.#cells.count), found, true));
    return null;
  }

  #answerFocus(): void {
    const { n, cell, ln } = this.state.focus as Focus;
    const position = positionOf(this.#cells, cell);
    if (!position) return;
    const head = this.#column(position).kind === "head";
    const layer = position.row;
    const h = Number(this.#column(position).label);
    const location = (role: string, k: number, shape: string, count: number) => ({
      role,
      parameter: `transformer.h.${layer}.attn.${k < 3 ? "c_attn" : "c_proj"}.weight`,
      index: k < 3 ? `[:, ${k * 96 + h * 24}:${k * 96 + h * 24 + 24}]` : `[${h * 24}:${h * 24 + 24}, :]`,
      shape,
      count,
    });
    const locations = head
      ? [
          location("W_Q", 0, "96 x 24", 2304),
          location("W_K", 1, "96 x 24", 2304),
          location("W_V", 2, "96 x 24", 2304),
          location("W_O", 3, "24 x 96", 2304),
          {
            ...location("b_Q", 0, "24", 24),
            parameter: `transformer.h.${layer}.attn.c_attn.bias`,
            index: `[${h * 24}:${h * 24 + 24}]`,
          },
        ]
      : [{ role: "W_E", parameter: "transformer.wte.weight", index: "", shape: "218 x 96", count: 20928 }];
    const notes =
      head && this.#column(position).group >= 0
        ? [`It shares W_K and W_V with the other heads of group ${this.#column(position).group}.`]
        : [];
    const mlp = ["mlp", "expert"].includes(this.#column(position).kind);
    const tabs = head ? ["ov", "qk", "composition"] : mlp ? ["mlp"] : [];
    const first = {
      focus: n,
      cell,
      title: wordOf(this.#cells, position),
      name: nameOf(this.#cells, position),
      locations,
      notes,
      ln,
      tabs,
      circuits: [],
      partners: null,
      pending: tabs,
    };
    this.set("summary", first);
    this.#dirty.clear();
    const all = this.#heads(this.#cells.present, position.band);
    const every = Math.ceil(all.length / 60);
    const arrows = arrowsAmong(all.filter((other, k) => other.cell === cell || k % every === 0));
    const whole = {
      ...first,
      circuits: head ? circuitsOfHead(cell, ln) : mlp ? circuitsOfMlp(cell) : [],
      partners: head
        ? {
            arrows: arrows.filter((a) => a.source === cell || a.target === cell).slice(0, 24),
            baseline: 0.102,
            fence: 8,
            notes: [],
            error: "",
          }
        : null,
      pending: [],
    } as unknown as Summary;
    setTimeout(() => {
      if ((this.state.focus as Focus).n === n) this.set("summary", whole);
    }, this.slow);
  }

  #heads(bits: BitSet, only = -1): { cell: number; layer: number }[] {
    return Array.from({ length: this.#cells.count }, (_, cell) => cell)
      .filter((cell) => has(bits, cell))
      .map((cell) => ({ cell, position: positionOf(this.#cells, cell)! }))
      .filter(
        ({ position }) => this.#column(position).kind === "head" && (only < 0 || position.band === only),
      )
      .map(({ cell, position }) => ({ cell, layer: position.row }));
  }

  #compare(): void {
    const { ln } = this.state.focus as Focus;
    const heads = this.#heads(fromWire(this.state.cells, this.#cells.count));
    const many = heads.length >= 2;
    const titleOf = (cell: number) => wordOf(this.#cells, positionOf(this.#cells, cell)!);
    const compared = heads.slice(0, 8).map(({ cell }) => ({
      cell,
      title: titleOf(cell),
      circuits: circuitsOfHead(cell, ln).map((circuit) => ({
        ...circuit,
        directions: circuit.directions.slice(0, 3),
        pairs: [],
        offsets: [],
        notes: [],
      })),
    }));
    const summed = {
      ...circuitsOfHead(99, ln)[0]!,
      title: heads.map(({ cell }) => titleOf(cell)).join(" + "),
    };
    const note = heads.length > 8 ? `The first 8 of ${heads.length} heads were compared.` : "";
    this.set("selected_heads", {
      heads: many ? compared : [],
      n_heads: many ? heads.length : 0,
      summed: many ? summed : null,
      ln,
      pending: false,
    });
    this.set("arrows", { arrows: arrowsAmong(heads.slice(0, 8)), baseline: 0.102, fence: 8, note });
    this.#dirty.clear();
  }

  /** Colors from Python, as `grid.color_by(array)` sends them. */
  paint(recolor: number, metric: string, label: string, ln: string, diverging: boolean): void {
    const values = new DataView(new ArrayBuffer(4 * this.#cells.count));
    const heads = new Set(this.#heads(this.#cells.present).map(({ cell }) => cell));
    for (let n = 0; n < this.#cells.count; n++) {
      const value = chance(n + 7)() * (diverging ? 2 : 1) - (diverging ? 1 : 0);
      values.setFloat32(4 * n, heads.has(n) && n % 17 ? value : Number.NaN, true);
    }
    this.set("colors", {
      recolor,
      metric,
      label,
      ln,
      diverging,
      values,
      error: "",
      low: diverging ? -1 : 0,
      high: 1,
      range: diverging ? "−0.98 to 0.97" : "0.02 to 0.98",
    });
    this.#dirty.clear();
  }

  #answerRecolor(): void {
    const { n, metric, ln } = this.state.recolor as Recolor;
    const { label } = METRICS.find(({ name }) => name === metric) ?? { label: "" };
    const total = 12;
    const step = (done: number) => {
      if ((this.state.recolor as Recolor).n !== n) return;
      const runs = metric !== "" && done < total;
      this.set("progress", { label: "reading every head", done, total: runs ? total : 0 });
      this.#dirty.clear();
      if (runs) setTimeout(() => step(done + 1), this.slow);
      else this.paint(n, metric, label, metric && ln, metric === "copying");
    };
    step(0);
  }
}
