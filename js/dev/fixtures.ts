/** Summaries as Python's are, of numbers that are drawn by chance but always the same. */
import type { Arrow, Circuit, Direction, Metric, Score, TokenPair, Tokens } from "../src/model/wire";

export const METRICS: Metric[] = [
  {
    live: false,
    name: "copying",
    label: "copying score",
    help: "Sum of the eigenvalues of OV by that of their sizes: +1 copies, −1 suppresses.",
  },
  { name: "ov_norm", live: false, label: "OV norm", help: "Frobenius norm of the OV circuit." },
  {
    live: false,
    name: "ov_rank",
    label: "OV entropy rank",
    help: "Exponential of the entropy of the squared singular values.",
  },
  { name: "qk_norm", live: false, label: "QK norm", help: "Frobenius norm of the QK circuit." },
];

/** Numbers between 0 and 1 that depend on the seed alone. */
export function chance(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const WORDS = [
  " the",
  " Mary",
  " John",
  "ing",
  " Paris",
  " France",
  "\n",
  " cat",
  " meows",
  " Monday",
  " Tuesday",
  "ed",
  " blue",
  " red",
  " gave",
  " drink",
  " to",
  ",",
  ".",
  " and",
  "  ",
  " extraordinarily",
  "é",
  "日本",
  "\u200b",
  " seven",
  " eight",
  "<bos>",
  " hot",
  " cold",
  " Rome",
  " Italy",
  " she",
  " him",
  "un",
  "ly",
  " of",
  " store",
  " when",
  " then",
];

const tokens = (random: () => number, n: number): Tokens => {
  const some = () => Array.from({ length: n }, () => WORDS[Math.floor(random() * WORDS.length)]!);
  const values = Array.from({ length: n }, (_, k) => 6 / (k + 1.5) + random() * 0.3);
  return { top: some(), top_values: values, bottom: some(), bottom_values: values.map((v) => -0.8 * v) };
};

const spectrum = (random: () => number, n: number): number[] => {
  let value = 6 + 3 * random();
  return Array.from({ length: n }, () => {
    const now = value;
    value *= 0.8 + 0.19 * random();
    return now;
  });
};

const directions = (random: () => number, values: number[], left: boolean, right: boolean): Direction[] =>
  values.slice(0, 10).map((value, k) => ({
    value,
    unclear: k === 4 || k === 5,
    left: left ? tokens(random, 10) : null,
    right: right ? tokens(random, 10) : null,
  }));

const pairs = (random: () => number): TokenPair[] =>
  Array.from({ length: 10 }, (_, k) => ({
    source: WORDS[Math.floor(random() * WORDS.length)]!,
    target: WORDS[Math.floor(random() * WORDS.length)]!,
    value: 12 / (k + 1.2),
  }));

const score = (name: string, value: number, help: string): Score => ({ name, value: value.toFixed(2), help });

const ranks = (random: () => number): Score[] => [
  score("norm", 8 + 10 * random(), "Frobenius norm: the root of the sum of the squared singular values."),
  score("stable rank", 1 + 6 * random(), "Squared Frobenius norm by the squared largest singular value."),
  score("entropy rank", 4 + 12 * random(), "Exponential of the entropy of the squared singular values."),
];

export function circuitsOfHead(seed: number, ln: string, dHead = 24): Circuit[] {
  const random = chance(seed * 2 + (ln === "raw" ? 1 : 0));
  const [ov, qk] = [spectrum(random, dHead), spectrum(random, dHead)];
  const rest = { offsets: [], notes: [], error: "", n_values: dHead };
  return [
    {
      ...rest,
      tab: "ov",
      title: "OV",
      left: "reads",
      right: "writes",
      spectrum: ov,
      scores: [
        score(
          "copying score",
          2 * random() - 1,
          "Sum of the eigenvalues of W_E OV W_U by the sum of their sizes: +1 copies every token, −1 suppresses it, random heads are near 0.",
        ),
        score("copies itself", random(), "Share of tokens whose largest output logit is their own."),
        ...ranks(random),
      ],
      directions: directions(random, ov, true, true),
      pairs_title: "what it writes when it attends to a token",
      pairs: pairs(random),
    },
    {
      ...rest,
      tab: "qk",
      title: "QK",
      left: "query",
      right: "key",
      spectrum: qk,
      scores: ranks(random),
      directions: directions(random, qk, true, true),
      pairs_title: "what it attends from and to",
      pairs: pairs(random),
      offsets: Array.from({ length: 64 }, (_, k) => (k === 1 ? 3.2 : 1.1 / (k + 1) - 0.4 + 0.2 * random())),
      notes: ["Positions are learned here, so the score by distance says how the head tooltips back."],
    },
  ];
}

export function circuitsOfMlp(seed: number): Circuit[] {
  const random = chance(seed);
  const one = (title: string, reads: boolean): Circuit => {
    const values = spectrum(random, 96);
    return {
      tab: "mlp",
      title,
      left: reads ? "reads" : "",
      right: reads ? "" : "writes",
      n_values: 768,
      spectrum: values,
      scores: ranks(random),
      directions: directions(random, values, reads, !reads),
      pairs_title: "",
      pairs: [],
      offsets: [],
      notes: [],
      error: "",
    };
  };
  return [one("W_in", true), one("W_out", false)];
}

/** Arrows between heads of different layers, given as cells in the order of their layers. */
export function arrowsAmong(heads: { cell: number; layer: number }[]): Arrow[] {
  const arrows = heads.flatMap((a) =>
    heads
      .filter((b) => b.layer > a.layer)
      .flatMap((b) =>
        (["Q", "K", "V"] as const).map((kind, k): Arrow => {
          const z = 14 * chance(a.cell * 7919 + b.cell * 31 + k)() ** 2 - 1;
          return {
            source: a.cell,
            target: b.cell,
            kind,
            value: 0.1 + 0.01 * z,
            z,
            carries: null,
            stands_out: false,
          };
        }),
      ),
  );
  return arrows.sort((a, b) => b.z - a.z);
}
