/**
 * The words of cells, rows and handles, which a page without Python prints and reads.
 *
 * Python has the only parser of the whole language. These are the words that stand in the spec, each for the cells that
 * Python means by it; whatever else is typed is refused.
 */
import { assign, type BitSet, empty, equal, has, union, without } from "./bits";
import { type Cells, handlesOf, numberAt } from "./cells";
import type { Band, QueryError } from "./wire";

/** The cells of a word. */
type Words = ReadonlyMap<string, readonly number[]>;

const plain = (word: string) => word.trim().toLowerCase().replace(/\s+/g, " ");

const made = new WeakMap<Cells, Words>();

/** All words of a model by their cells; one that would mean two things is left out. */
export function wordsOf(cells: Cells): Words {
  const known = made.get(cells);
  if (known) return known;
  const found = new Map<string, readonly number[]>();
  const twice = new Set<string>();
  const add = (text: string, members: readonly number[]) => {
    const word = plain(text);
    if (!word || !members.length) return;
    if (found.has(word)) twice.add(word);
    found.set(word, members);
  };
  for (const [b, band] of cells.bands.entries()) {
    const columns = band.columns.map((_, column) => column);
    const at = (rows: readonly number[], those: readonly number[]) =>
      rows
        .flatMap((row) => those.map((column) => numberAt(cells, { band: b, row, column })))
        .filter((n) => n >= 0);
    const all = band.rows.map((_, row) => row);
    for (const [r, row] of band.rows.entries()) {
      for (const c of columns) add(row.word + band.columns[c]!.word, at([r], [c]));
      for (const handle of handlesOf(band)) add(row.word + handle.word, at([r], handle.columns));
      if (headColumns(band).length > 1) add(`${row.word}h*`, at([r], headColumns(band)));
      if (hasWholeRows(cells)) add(row.word, at([r], columns));
    }
    if (hasWholeRows(cells) && band.rows.length > 1)
      for (const c of headColumns(band)) add(`l*${band.columns[c]!.word}`, at(all, [c]));
  }
  for (const word of twice) found.delete(word);
  made.set(cells, found);
  return found;
}

const headColumns = ({ columns }: Band) => columns.flatMap(({ kind }, c) => (kind === "head" ? [c] : []));

/** Whether a layer is one row: where there are several stacks, a layer's word may mean rows of two of them. */
const hasWholeRows = ({ bands }: Cells) =>
  bands.filter((band) => band.rows.some(({ word }) => word)).length === 1;

/** The shortest words that together are these cells, in the grid's order; "none", and "full" for all that there are. */
export function textOfCells(cells: Cells, on: BitSet): string {
  if (equal(on, cells.present)) return "full";
  const terms: string[] = [];
  const words = wordsOf(cells);
  for (const [b, band] of cells.bands.entries())
    for (const [r, row] of band.rows.entries()) {
      const left = new Set(
        band.columns
          .map((_, column) => numberAt(cells, { band: b, row: r, column }))
          .filter((n) => n >= 0 && has(on, n)),
      );
      if (!left.size) continue;
      const wholes = [row.word, ...handlesOf(band).map((handle) => row.word + handle.word), `${row.word}h*`];
      for (const whole of wholes) {
        const members = words.get(plain(whole)) ?? [];
        if (members.length < 2 || !members.every((n) => left.has(n))) continue;
        terms.push(whole);
        for (const n of members) left.delete(n);
      }
      for (const n of left) terms.push(wordAt(cells, band, b, r, n));
    }
  return terms.join(" | ") || "none";
}

function wordAt(cells: Cells, band: Band, b: number, row: number, n: number): string {
  const column = n - cells.first[b]! - row * band.columns.length;
  return (band.rows[row]!.word + band.columns[column]!.word).trim();
}

/** What a text says: cells, or why it was not read. */
export type Reading = { on: BitSet; error: null } | { on: null; error: QueryError };

const REFUSAL =
  "is not read here: this page has no Python. Words such as l0h1, l0h* and l0 mlp are, with | between them and - before what is left out";

/** Reads unions of such words, with ` - ` before what is taken out of the one before it, as Python does. */
export function readCells(cells: Cells, text: string): Reading {
  let on = empty(cells.count);
  let at = 0;
  for (const term of text.split(/[|,](?![^[]*\])/)) {
    const words = term.split(/\s-\s/);
    let mine = empty(cells.count);
    let start = at;
    for (const [k, word] of words.entries()) {
      const members = membersOfWord(cells, word);
      const isShared = k > 0 && cells.bands.some((band) => band.columns.some(({ group }) => group >= 0));
      // To take a head from those with which it shares its key/value head leaves parts of them: only Python can say which.
      if (!members || isShared) {
        const from = start + word.length - word.trimStart().length;
        const said = word.trim() ? JSON.stringify(word.trim()) : "An empty term";
        const end = Math.max(from + 1, from + word.trim().length);
        return { on: null, error: { message: `${said} ${REFUSAL}.`, start: from, end } };
      }
      const these = assign(empty(cells.count), members, true);
      mine = k ? without(mine, these) : these;
      start += word.length + 3;
    }
    on = union(on, mine);
    at += term.length + 1;
  }
  return { on, error: null };
}

function membersOfWord(cells: Cells, text: string): readonly number[] | null {
  const word = plain(text);
  if (word === "none") return [];
  if (word === "full")
    return Array.from({ length: cells.count }, (_, n) => n).filter((n) => has(cells.present, n));
  const words = wordsOf(cells);
  const found = expanded(word).map((one) => words.get(one));
  return found.length && found.every((members) => members !== undefined) ? found.flat() : null;
}

/** The most words that one may stand for, and the largest number that is counted to. */
const MOST = 20_000;

/** "l0h1", "l0h2" and "l0h4" of "l0h[1,2,4]" or "l0h[1-2,4]"; a word without such numbers is itself. */
function expanded(word: string): string[] {
  const found = word.match(/\[([\d,\s-]+)\]|(\d+-\d+)/);
  if (!found) return [word];
  const [all, list, range] = found;
  const numbers = (list ?? range)!.split(",").flatMap((item) => {
    const [from, to = from] = item.split("-").map(Number) as [number, number?];
    return to! - from < MOST
      ? Array.from({ length: Math.max(0, to! - from + 1) }, (_, k) => from + k)
      : [Number.NaN];
  });
  const [before, after] = [word.slice(0, found.index), word.slice(found.index! + all.length)];
  const rest = expanded(after);
  if (numbers.length * rest.length > MOST) return [];
  return numbers.flatMap((number) => rest.map((end) => `${before}${number}${end}`));
}
