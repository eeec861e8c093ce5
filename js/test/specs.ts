/** Small specs for the tests: more heads than layers, bands of different widths, shared key/value heads. */

import { toWire } from "../dev/bytes";
import { assign, empty } from "../src/model/bits";
import { type Cells, readSpec } from "../src/model/cells";
import { type Band, type Column, type GridSpec, type StackTab, type Text, VERSION } from "../src/model/wire";

const other = (label: string, kind: Column["kind"], word: string): Column => ({
  label,
  name: label,
  word,
  kind,
  group: -1,
});

const ends = (...words: string[]): Band => ({
  title: "ends",
  stack: "",
  rows: [{ label: "", name: "", word: "", tooltip: 0 }],
  columns: words.map((word) => other(word, "embed", word)),
  handles: [],
  tooltips: [],
});

/** embed, pos | ln1, heads, MLP of every layer | unembed */
export function specOf(layers: number, heads: number, perGroup = 1, absent: number[] = []): GridSpec {
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
    tooltip: 0,
  }));
  const middle = { title: "layers", stack: "", rows, columns, handles: [], tooltips: [] };
  const bands = [ends("embed", "pos"), middle, ends("unembed")];
  const count = 3 + layers * columns.length;
  return of(bands, count, [], absent);
}

function of(bands: Band[], count: number, stacks: StackTab[], absent: number[] = []): GridSpec {
  return {
    version: VERSION,
    model: "a model",
    provenance: "table",
    provenance_note: "",
    stacks,
    bands,
    tooltips: [],
    metrics: [],
    absent: toWire(assign(empty(count), absent, true)),
    zero: toWire(empty(count)),
  };
}

/** One layer of 2 heads and 3 experts. */
export function mixture(heads = 2, experts = 3): Band {
  const many = (n: number, kind: Column["kind"], letter: string) =>
    Array.from({ length: n }, (_, i) => other(`${i}`, kind, `${letter}${i}`));
  return {
    title: "layers",
    stack: "",
    rows: [{ label: "0", name: "layer 0", word: "l0", tooltip: 0 }],
    handles: [],
    tooltips: [],
    columns: [
      ...many(heads, "head", "h"),
      other("ln2", "norm", " ln2"),
      ...many(experts, "expert", "e"),
      other("rest", "rest", " mlp rest"),
    ],
  };
}

/**
 * An encoder of 2 layers and a decoder of 3, with 2 heads each, and an embedding that both share.
 *
 * Cells: 0 the embedding, 1-4 the encoder's heads, 5 its norm, 6-11 the decoder's heads.
 */
export function stacked(): GridSpec {
  const heads = (stack: string, layers: number): Band => ({
    title: "layers",
    stack,
    rows: Array.from({ length: layers }, (_, l) => ({
      label: `${l}`,
      name: `${stack} layer ${l}`,
      word: `${stack} l${l}`,
      tooltip: 0,
    })),
    handles: [],
    tooltips: [],
    columns: [other("0", "head", "h0"), other("1", "head", "h1")],
  });
  const tab = (name: string, label: string): StackTab => ({ name, label, title: `the ${label}` });
  const bands = [ends("embed"), heads("enc", 2), { ...ends("enc ln_final"), stack: "enc" }, heads("dec", 3)];
  return of(bands, 12, [tab("enc", "encoder"), tab("dec", "decoder")]);
}

/** 2 layers of 3 heads: cells 0-1 are the embeddings, 2-6 layer 0, 7-11 layer 1, 12 the unembedding. */
export const small = (absent: number[] = []): Cells => readSpec(specOf(2, 3, 1, absent));

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
