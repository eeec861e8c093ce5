/** Small answers for the tests, as Python sends them. */
import type {
  Arrow,
  Circuit,
  Colors,
  Direction,
  HeadPattern,
  HeadsTable,
  LiveView,
  SelectionEffect,
  Summary,
  TaskState,
  Tokens,
  TypeScore,
} from "../src/model/wire";

export const tokens = (...top: string[]): Tokens => ({
  top,
  top_values: top.map((_, k) => 4 - k),
  bottom: top.map((token) => `not${token}`),
  bottom_values: top.map((_, k) => k - 4),
});

export const direction = (value: number, more: Partial<Direction> = {}): Direction => ({
  value,
  unclear: false,
  left: tokens(" the", "\n"),
  right: tokens("a"),
  ...more,
});

export const circuit = (more: Partial<Circuit> = {}): Circuit => ({
  tab: "ov",
  title: "OV",
  left: "reads",
  right: "writes",
  n_values: 3,
  spectrum: [4, 2, 1],
  scores: [{ name: "copying score", value: "0.98", help: "How much it copies." }],
  directions: [direction(4), direction(2, { unclear: true })],
  pairs_title: "",
  pairs: [],
  offsets: [],
  notes: [],
  error: "",
  ...more,
});

export const summary = (more: Partial<Summary> = {}): Summary => ({
  focus: 1,
  cell: 4,
  title: "l0h1",
  name: "layer 0 head 1",
  locations: [{ role: "W_Q", parameter: "h.0.q.weight", index: "[:, 0:2]", shape: "6 x 2", count: 12 }],
  notes: [],
  ln: "folded",
  // The type of a list of words, which the generator writes without its brackets.
  tabs: ["ov", "composition"],
  circuits: [circuit()],
  partners: null,
  pending: [],
  ...more,
});

export const arrow = (source: number, target: number, z: number, kind: Arrow["kind"] = "K"): Arrow => ({
  source,
  target,
  kind,
  value: 0.1 + z / 100,
  z,
  carries: null,
  stands_out: false,
});

/** Colors of `values`, one for each cell from 0. */
export function colors(values: number[], more: Partial<Colors> = {}): Colors {
  // An odd offset, because a host's bytes need not be aligned.
  const bytes = new DataView(new ArrayBuffer(4 * values.length + 1), 1);
  for (const [n, value] of values.entries()) bytes.setFloat32(4 * n, value, true);
  return {
    recolor: 0,
    metric: "copying",
    label: "copying score",
    ln: "folded",
    low: -1,
    high: 1,
    range: "−0.50 to 0.98",
    diverging: true,
    values: bytes,
    error: "",
    ...more,
  };
}

/** The bytes of a pattern whose rows hold the attention of each query: 255 times its root. */
export function patternBytes(rows: readonly (readonly number[])[]): DataView {
  return new DataView(Uint8Array.from(rows.flat(), (value) => Math.round(255 * Math.sqrt(value))).buffer);
}

export const head = (
  cell: number,
  title: string,
  rows: readonly (readonly number[])[],
  scores: TypeScore[] = [],
): HeadPattern => ({ cell, title, values: patternBytes(rows), scores });

export const liveView = (
  tokens: string[],
  heads: HeadPattern[] = [],
  more: Partial<LiveView> = {},
): LiveView => ({
  ...{ query: 1, focus: 1, row: 0, tokens, keys: [], triangle: true, heads, n_heads: heads.length },
  ...{ next: [], pending: false, error: "" },
  ...more,
});

export const task = (more: Partial<TaskState> = {}): TaskState => ({
  ...{ available: true, prompt: 0, typed: false, name: "", rows: [], contrasts: [], answers: [] },
  ...{ metric: "", error: "" },
  ...more,
});

export const effect = (more: Partial<SelectionEffect> = {}): SelectionEffect => ({
  ...{ text: "l0h1 | l1h2", row: 0, metric: "logit difference", clean: 5.31, sentence: "It stands out." },
  modes: [
    { mode: "zero", value: -4.2, low: -4.6, high: -3.9, controls: [-0.1, 0.2, 0] },
    { mode: "mean", value: -3.1, low: -3.1, high: -3.1, controls: [] },
  ],
  next: [{ token: " mary", p: 0.9996 }],
  without: [{ token: " john", p: 0.41 }],
  alone: [{ token: " mary", p: 0.97 }],
  ...{ pending: false, error: "" },
  ...more,
});

/** A table of heads with columns of these labels, and their values row by row. */
export function headsTable(
  cells: number[],
  labels: string[],
  values: number[],
  more: Partial<HeadsTable> = {},
): HeadsTable {
  const bytes = new DataView(new ArrayBuffer(4 * values.length + 1), 1);
  for (const [k, value] of values.entries()) bytes.setFloat32(4 * k, value, true);
  const columns = labels.map((label) => ({ name: label, label, help: `What ${label} is.`, live: false }));
  return { columns, cells, values: bytes, note: "", ln: "folded", pending: false, ...more };
}
