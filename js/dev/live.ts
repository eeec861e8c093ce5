/** What heads do on a text, as Python answers it: patterns that look like those of known types of heads. */
import type {
  HeadPattern,
  LiveView,
  NextToken,
  SelectionEffect,
  TaskState,
  Thumbnails,
} from "../src/model/wire";
import { chance } from "./fixtures";

/** Words with the blanks before them, as most tokenizers have them. */
export const tokensOf = (text: string): string[] => text.match(/\s*\S+/g) ?? [];

/** One row of attention for each query: a head's type is chosen by its number. */
export function rowsOf(cell: number, tokens: readonly string[]): number[][] {
  const random = chance(cell + 3);
  const same = (a: string, b: string) => a.trim() === b.trim();
  return tokens.map((token, q) => {
    const row = Array.from({ length: q + 1 }, (_, k) => {
      const noise = 0.2 * random() ** 3;
      if (cell % 3 === 0) return noise + (k === q - 1 ? 6 : 0) + (k === 0 ? 0.3 : 0);
      if (cell % 3 === 1) return noise + (k > 0 && same(tokens[k - 1]!, token) ? 6 : 0) + (k === 0 ? 1.2 : 0);
      return noise + (k === 0 ? 2 : 0) + 0.1;
    });
    const sum = row.reduce((a, b) => a + b, 0);
    return row.map((value) => value / sum);
  });
}

const bytes = (values: readonly number[]) =>
  new DataView(Uint8Array.from(values, (value) => Math.round(255 * Math.sqrt(value))).buffer);

export function patternOf(cell: number, title: string, tokens: readonly string[]): HeadPattern {
  const [previous, induction] = [cell % 3 === 0 ? 0.93 : 0.06, cell % 3 === 1 ? 0.89 : 0.02];
  return {
    ...{ cell, title, values: bytes(rowsOf(cell, tokens).flat()) },
    scores: [
      { name: "previous token", value: previous, base: 0.08, against: "even attention" },
      { name: "induction", value: induction, base: 0.03, against: "shuffled tokens" },
      { name: "first token", value: 0.21, base: 0.2, against: "even attention" },
    ],
  };
}

export const NEXT: NextToken[] = [
  { token: " mary", p: 0.9997 },
  { token: " ella", p: 0.0002 },
  { token: " peter", p: 0.00008 },
];

export function thumbnailsOf(cells: number[], tokens: readonly string[]): Omit<Thumbnails, "query" | "row"> {
  const size = Math.min(16, tokens.length);
  const each = tokens.length / size;
  const values = cells.flatMap((cell) => {
    const small = Array(size * size).fill(0);
    for (const [q, row] of rowsOf(cell, tokens).entries())
      for (const [k, value] of row.entries()) {
        const at = Math.floor(q / each) * size + Math.floor(k / each);
        small[at] = Math.max(small[at], value);
      }
    return small;
  });
  const note =
    tokens.length > size
      ? `${size} x ${size} of ${tokens.length} tokens: each square is the largest of several`
      : "";
  return { size, cells, values: bytes(values), note, pending: false };
}

export const NO_LIVE: LiveView = {
  ...{ query: 0, focus: 0, row: 0, tokens: [], keys: [], triangle: true, heads: [], n_heads: 0, next: [] },
  ...{ pending: false, error: "" },
};

export const taskOf = (...rows: string[]): TaskState => ({
  ...{
    available: true,
    prompt: 0,
    typed: false,
    name: rows.length > 1 ? `names, ${rows.length} rows` : "",
    rows,
  },
  ...{
    contrasts: [],
    answers: rows.map(() => "' mary' rather than ' john'"),
    metric: "logit difference",
    error: "",
  },
});

export function effectOf(text: string, row: number): SelectionEffect {
  const random = chance(text.length);
  const controls = (spread: number) => Array.from({ length: 20 }, () => spread * (random() - 0.6));
  const mode = (name: string, value: number, spread: number) => ({
    ...{ mode: name, value, low: value - 0.4, high: value + 0.3, controls: controls(spread) },
  });
  return {
    ...{ text, row, metric: "logit difference", clean: 5.31 },
    modes: [
      mode("zero", -8.2, 2),
      mode("mean", -6.9, 1.5),
      mode("resample", -7.4, 1.8),
      mode("patch", -9.1, 1),
    ],
    sentence: `Without ${text} the logit difference falls from 5.31 to −1.59: more than any of 20 random sets of as many heads.`,
    next: NEXT,
    without: [
      { token: " john", p: 0.52 },
      { token: " mary", p: 0.31 },
    ],
    alone: [
      { token: " mary", p: 0.97 },
      { token: " the", p: 0.01 },
    ],
    ...{ pending: false, error: "" },
  };
}
