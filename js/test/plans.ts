/** Small plans for the tests: more heads than layers, bands of different widths, shared key/value heads. */
import { assign, empty, toWire } from "../src/bits";
import { type Cells, readPlan } from "../src/cells";
import type { Band, Column, Plan, Text } from "../src/wire";

const other = (label: string, kind: Column["kind"], word: string): Column => ({
  label,
  name: label,
  word,
  kind,
  group: -1,
});

const ends = (...words: string[]): Band => ({
  title: "ends",
  rows: [{ label: "", name: "", word: "" }],
  columns: words.map((word) => other(word, "embed", word)),
});

/** embed, pos | ln1, heads, MLP of every layer | unembed */
export function planOf(layers: number, heads: number, perGroup = 1, absent: number[] = []): Plan {
  const columns = [
    other("ln1", "norm", " ln1"),
    ...Array.from({ length: heads }, (_, h) => ({
      ...other(`${h}`, "head", `h${h}`),
      name: `head ${h}`,
      group: perGroup > 1 ? Math.floor(h / perGroup) : -1,
    })),
    other("MLP", "mlp", " mlp"),
  ];
  const rows = Array.from({ length: layers }, (_, l) => ({
    label: `${l}`,
    name: `layer ${l}`,
    word: `l${l}`,
  }));
  const bands = [ends("embed", "pos"), { title: "layers", rows, columns }, ends("unembed")];
  const count = 3 + layers * columns.length;
  return {
    version: 1,
    model: "a model",
    bands,
    absent: toWire(assign(empty(count), absent, true)),
    zero: toWire(empty(count)),
  };
}

/** 2 layers of 3 heads: cells 0-1 are the embeddings, 2-6 layer 0, 7-11 layer 1, 12 the unembedding. */
export const small = (absent: number[] = []): Cells => readPlan(planOf(2, 3, 1, absent));

export const on = (cells: Cells, ...members: number[]) => assign(empty(cells.count), members, true);

export const members = (cells: Cells, bits: Uint8Array): number[] =>
  Array.from({ length: cells.count }, (_, n) => n).filter((n) => (bits[n >> 3]! >> (n & 7)) & 1);

/** Every letter is six pixels wide. */
export const measure = (text: string): number => 6 * text.length;

/** What Python says of a selection. */
export const text = (more: Partial<Text> = {}): Text => ({
  selection: "none",
  counts: "",
  n_selected: 0,
  n_params: 100,
  query: 0,
  error: null,
  ...more,
});
