/** Stands in for the kernel on the dev page: the same traits, and answers that look like Python's. */
import { assign, empty, fromWire, has, toWire } from "../src/bits";
import { type Cells, nameOf, numberAt, readPlan, type Spot, spotOf, wordOf } from "../src/cells";
import type { Model } from "../src/sync";
import type { Column, Plan } from "../src/wire";

function plural(n: number, noun: string): string {
  return n ? `${n} ${noun}${n === 1 ? "" : "s"}` : "";
}

export class FakeModel implements Model {
  readonly state: Record<string, unknown>;
  saves = 0;
  readonly #listeners = new Map<string, Set<(...args: unknown[]) => void>>();
  readonly #cells: Cells;
  #dirty = new Set<string>();

  constructor(plan: Plan, selected: string[] = []) {
    this.#cells = readPlan(plan);
    const on = assign(
      empty(this.#cells.count),
      selected.map((word) => this.#find(word)),
      true,
    );
    this.state = {
      plan,
      cells: toWire(on),
      partial: toWire(empty(this.#cells.count)),
      query: { n: 0, text: "" },
      focus: { n: 0, cell: -1 },
      summary: { focus: 0, cell: -1, title: "", name: "", places: [], notes: [] },
      text: {},
    };
    this.#answerCells(0);
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
      if (wordOf(this.#cells, spotOf(this.#cells, n)!) === word) return n;
    return -1;
  }

  #python(dirty: Set<string>): void {
    if (dirty.has("cells")) this.#answerCells(0);
    if (dirty.has("query")) this.#answerQuery();
    if (dirty.has("focus")) this.#answerFocus();
  }

  #answerCells(query: number): void {
    const cells = this.#cells;
    const on = fromWire(this.state.cells, cells.count);
    const members = Array.from({ length: cells.count }, (_, n) => n).filter((n) => has(on, n));
    const group = (n: number) => {
      const spot = spotOf(cells, n)!;
      return { spot, group: cells.bands[spot.band]!.columns[spot.column]!.group };
    };
    const partial = new Set<number>();
    for (const n of members.map(group).filter((m) => m.group >= 0)) {
      cells.bands[n.spot.band]!.columns.forEach((column, c) => {
        const other = numberAt(cells, { ...n.spot, column: c });
        if (column.group === n.group && other >= 0 && !has(on, other)) partial.add(other);
      });
    }
    this.set("partial", toWire(assign(empty(cells.count), partial, true)));
    const heads = members.filter((n) => this.#column(spotOf(cells, n)!).kind === "head").length;
    const rest = members.length - heads;
    const counts = [plural(heads, "head"), plural(rest, "other part")].filter(Boolean).join(", ");
    const words =
      members.length === cells.count
        ? "full"
        : members.map((n) => wordOf(cells, spotOf(cells, n)!)).join(" | ");
    this.set("text", {
      selection: words || "none",
      counts: counts || "nothing is selected",
      n_selected: members.length * 9312,
      n_params: cells.count * 9312,
      query: query || (this.state.query as { n: number }).n,
      error: null,
    });
    this.#dirty.clear();
  }

  #column(spot: Spot): Column {
    return this.#cells.bands[spot.band]!.columns[spot.column]!;
  }

  #answerQuery(): void {
    const { n, text } = this.state.query as { n: number; text: string };
    const found: number[] = [];
    let at = 0;
    for (const word of text === "none" ? [] : text.split("|")) {
      const cell = this.#find(word.trim().toLowerCase());
      if (cell < 0) {
        const start = at + word.length - word.trimStart().length;
        const message = `no part is called ${JSON.stringify(word.trim())}; did you mean l1h2?`;
        this.set("text", {
          ...(this.state.text as object),
          query: n,
          error: { message, start, end: start + word.trim().length },
        });
        return;
      }
      found.push(cell);
      at += word.length + 1;
    }
    this.set("cells", toWire(assign(empty(this.#cells.count), found, true)));
    this.#answerCells(n);
  }

  #answerFocus(): void {
    const { n, cell } = this.state.focus as { n: number; cell: number };
    const spot = spotOf(this.#cells, cell);
    if (!spot) return;
    const head = this.#column(spot).kind === "head";
    const layer = spot.row;
    const h = Number(this.#column(spot).label);
    const place = (role: string, k: number, shape: string, count: number) => ({
      role,
      parameter: `transformer.h.${layer}.attn.${k < 3 ? "c_attn" : "c_proj"}.weight`,
      index: k < 3 ? `[:, ${k * 96 + h * 24}:${k * 96 + h * 24 + 24}]` : `[${h * 24}:${h * 24 + 24}, :]`,
      shape,
      count,
    });
    const places = head
      ? [
          place("W_Q", 0, "96 x 24", 2304),
          place("W_K", 1, "96 x 24", 2304),
          place("W_V", 2, "96 x 24", 2304),
          place("W_O", 3, "24 x 96", 2304),
          {
            ...place("b_Q", 0, "24", 24),
            parameter: `transformer.h.${layer}.attn.c_attn.bias`,
            index: `[${h * 24}:${h * 24 + 24}]`,
          },
        ]
      : [{ role: "W_E", parameter: "transformer.wte.weight", index: "", shape: "218 x 96", count: 20928 }];
    const notes =
      head && this.#column(spot).group >= 0
        ? [`It shares W_K and W_V with the other heads of group ${this.#column(spot).group}.`]
        : [];
    this.set("summary", {
      focus: n,
      cell,
      title: wordOf(this.#cells, spot),
      name: nameOf(this.#cells, spot),
      places,
      notes,
    });
    this.#dirty.clear();
  }
}
