/**
 * What is selected on a page without Python: whole cells, and finer choices that came with the page, as their texts.
 *
 * A head takes the key/value head that it shares along, so its siblings are selected in part, as in Python.
 */
import { assign, type BitSet, empty, equal, has, without } from "./bits";
import { readCells, textOfCells, wordsOf } from "./cell_words";
import type { Cells } from "./cells";
import { positionOf, wordOf } from "./cells";
import type { Column, Text } from "./wire";

/** A finer choice, such as `l1h0.q`: its cell, or -1 where its text is too rich to tell, and all of it is kept as it stands. */
interface Finer {
  text: string;
  cell: number;
}

export interface PageSelection {
  on: BitSet;
  finer: readonly Finer[];
  /** The cells of which the finer choices have anything. */
  some: BitSet;
}

export const wholeCells = (on: BitSet): PageSelection => ({ on, finer: [], some: empty(8 * on.length) });

/** The heads that share a key/value head with one that is selected, and are not selected themselves. */
export function siblingsOf(cells: Cells, on: BitSet): BitSet {
  const found: number[] = [];
  for (const [b, band] of cells.bands.entries()) {
    const width = band.columns.length;
    for (const row of band.rows.keys()) {
      const first = cells.first[b]! + row * width;
      const groups = new Set(
        band.columns.flatMap(({ group }, c) => (group >= 0 && has(on, first + c) ? [group] : [])),
      );
      for (const [c, { group }] of band.columns.entries())
        if (groups.has(group) && !has(on, first + c)) found.push(first + c);
    }
  }
  return without(assign(empty(cells.count), found, true), cells.absent);
}

/** The selection that Python left, of which a text and the cells are known. */
export function selectionOf(cells: Cells, text: string, on: BitSet, partial: BitSet): PageSelection {
  const some = without(partial, siblingsOf(cells, on));
  if (!some.some(Boolean)) return wholeCells(on);
  if (/[~&()]/.test(text)) return { on, some, finer: [{ text: `(${text})`, cell: -1 }] };
  const terms = text.split(" | ").filter((term) => !readCells(cells, term).on);
  const finer = terms.map((term) => {
    // "l1h0.q" is in "l1h0", "l0 mlp n3-5" in "l0 mlp".
    const members = wordsOf(cells).get(term.toLowerCase().replace(/(\.\w+| n[\d,[\]*-]+)+$/, "")) ?? [];
    return members.length === 1 ? { text: term, cell: members[0]! } : { text: `(${term})`, cell: -1 };
  });
  return { on, some, finer };
}

/** Switches some cells on and others off. */
export function edited(
  cells: Cells,
  { on, finer, some }: PageSelection,
  added: BitSet,
  taken: BitSet,
): PageSelection {
  const next = without(without(on, taken).map((byte, k) => byte | (added[k] ?? 0)) as BitSet, cells.absent);
  const words = Array.from({ length: cells.count }, (_, n) => n)
    .filter((n) => has(taken, n))
    .map((n) => wordOf(cells, positionOf(cells, n)!));
  const kept = finer
    .filter(({ cell }) => cell < 0 || !(has(taken, cell) || has(added, cell)))
    .map(({ text, cell }) => ({ cell, text: cell < 0 ? [text, ...words].join(" - ") : text }));
  const left = kept.length ? without(without(some, taken), next) : empty(cells.count);
  return { on: next, finer: kept, some: left };
}

export const sameSelection = (a: PageSelection, b: PageSelection): boolean =>
  equal(a.on, b.on) && a.finer.map(({ text }) => text).join() === b.finer.map(({ text }) => text).join();

export function partialOf(cells: Cells, { on, some }: PageSelection): BitSet {
  const siblings = siblingsOf(cells, on);
  return without(some.map((byte, k) => byte | siblings[k]!) as BitSet, on);
}

const NOUNS: [kind: string, one: string, many: string][] = [
  ["head", "head", "heads"],
  ["mlp", "MLP", "MLPs"],
  ["norm", "norm", "norms"],
  ["expert", "expert", "experts"],
  ["mixer", "mixer", "mixers"],
  ["rest", "shared part", "shared parts"],
  ["embed", "embedding", "embeddings"],
];

/** The heads that are named one by one: more are counted. */
const FEW = 7;

const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

/** "2 heads, 1 MLP, parts of 1 head", and whom keys and values serve beside, in the words of `widget/state/counts.py`. */
export function countsOf(cells: Cells, { on, some }: PageSelection): string {
  const served = without(without(siblingsOf(cells, on), on), some);
  const counted = (bits: BitSet) => {
    const of: Record<string, number> = {};
    for (const { kind } of columnsOf(cells, bits)) of[kind] = (of[kind] ?? 0) + 1;
    return NOUNS.flatMap(([kind, one, many]) => (of[kind] ? [plural(of[kind], one, many)] : []));
  };
  const [whole, parts] = [counted(on), counted(without(some, on))];
  const listed = [...whole, ...(parts.length ? [`parts of ${parts.join(" and ")}`] : [])].join(", ");
  const others = columnsOf(cells, served);
  if (!others.length) return listed || "nothing is selected";
  const isOne = columnsOf(cells, on).filter(({ kind }) => kind === "head").length === 1;
  const isAlone = whole.length === 1 && !parts.length;
  const whose = isAlone ? (isOne ? "its" : "their") : isOne ? "the head's" : "the heads'";
  const named =
    isOne && others.length <= FEW
      ? `head${others.length > 1 ? "s" : ""} ${others.map(({ label }) => label).join(", ")}`
      : plural(others.length, "other head", "other heads");
  return `${listed}; ${whose} K and V also serve ${named}`;
}

/** The columns of some cells, one for each. */
function columnsOf(cells: Cells, bits: BitSet): Column[] {
  return cells.bands.flatMap(({ rows, columns }, b) =>
    Array.from({ length: rows.length * columns.length }, (_, k) => k)
      .filter((k) => has(bits, cells.first[b]! + k))
      .map((k) => columns[k % columns.length]!),
  );
}

/** How many parameters whole cells have; what heads of a group share is counted once. */
export function parametersOf(cells: Cells, on: BitSet): number {
  let total = 0;
  for (const [b, band] of cells.bands.entries())
    for (const [r, row] of band.rows.entries()) {
      const groups = new Set<number>();
      for (const [c, { group }] of band.columns.entries()) {
        if (!has(on, cells.first[b]! + r * band.columns.length + c)) continue;
        const tooltip = cells.tooltips[band.tooltips[row.tooltip]?.[c] ?? -1];
        if (!tooltip) continue;
        total += tooltip.count - (group >= 0 && groups.has(group) ? tooltip.shared : 0);
        groups.add(group);
      }
    }
  return total;
}

/** What Python would say of the selection; `n_params` is the model's. */
export function textOf(
  cells: Cells,
  selection: PageSelection,
  n_params: number,
): Omit<Text, "query" | "error"> {
  const { on, finer } = selection;
  const whole = textOfCells(cells, on);
  const terms = [...(whole === "none" ? [] : [whole]), ...finer.map(({ text }) => text)];
  return {
    selection: whole === "full" ? whole : terms.join(" | ") || "none",
    counts: countsOf(cells, selection),
    n_selected: parametersOf(cells, on),
    n_params,
  };
}
