/** Grid specs for the dev page, of the shape of Python's. */
import { assign, empty } from "../src/model/bits";
import { positionOf, readSpec, wordOf } from "../src/model/cells";
import {
  type Band,
  type Column,
  type GridSpec,
  type Handle,
  type StackTab,
  type Tooltip,
  VERSION,
} from "../src/model/wire";
import { toWire } from "./bytes";
import { METRICS } from "./fixtures";

type Kind = Column["kind"];

export interface Sizes {
  name: string;
  layers: number;
  heads: number;
  perGroup?: number;
  experts?: number;
  /** Layers without attention. */
  absent?: number[];
  /** Those of them that mix tokens in another way, and its name. */
  mixer?: string;
  /** Layers with an MLP where the others have experts. */
  dense?: number[];
  /** Cells whose output is zero. */
  zero?: string[];
  provenance?: GridSpec["provenance"];
  stacks?: "encoder-decoder" | "vision";
}

const NOTES: Record<GridSpec["provenance"], string> = {
  table: "",
  doubted:
    "Where the model itself is stored is known, but not all that changes its heads lies in them. Vera acts on 12 modules.",
  guess:
    "The family 'NewModel' is not in headgrid's table, so the layout was guessed from the names of its parameters; headgrid.prove(model) tests it.",
  proven:
    "The layout was guessed from the names of the parameters, and switching each part off changed only what that part writes.",
};

const column = (label: string, name: string, word: string, kind: Kind, group = -1): Column => ({
  label,
  name,
  word,
  kind,
  group,
});

function columnsOf({ heads, perGroup = 1, experts = 0, mixer, dense }: Sizes): Column[] {
  const count = (n: number, make: (i: number) => Column) => Array.from({ length: n }, (_, i) => make(i));
  const head = (h: number) =>
    column(`${h}`, `head ${h}`, `h${h}`, "head", perGroup > 1 ? Math.floor(h / perGroup) : -1);
  return [
    column("ln1", "norm before attention", " ln1", "norm"),
    ...count(heads, head),
    ...(mixer ? [column(mixer, `mixer (${mixer})`, " mixer", "mixer")] : []),
    ...(heads ? [column("b_O", "rest of attention (b_O)", " attn rest", "rest")] : []),
    column("ln2", "norm before the MLP", " ln2", "norm"),
    ...(experts === 0 || dense ? [column("MLP", "MLP", " mlp", "mlp")] : []),
    ...(experts ? [column("router", "rest of the MLP (router.W)", " mlp rest", "rest")] : []),
    ...count(experts, (e) => column(`${e}`, `expert ${e}`, `e${e}`, "expert")),
  ];
}

const KINDS: Kind[] = ["head", "mixer", "mlp", "expert", "norm", "rest", "embed"];
const TOOLTIPS: Tooltip[] = [
  { shapes: ["W_Q, W_K, W_V 96 x 24", "W_O 24 x 96", "b_Q, b_K, b_V 24"], count: 9288, shared: 0, note: "" },
  { shapes: ["in_proj 96 x 384", "conv1d 4 x 192", "out_proj 192 x 96"], count: 56064, shared: 0, note: "" },
  { shapes: ["W_in 96 x 384", "W_out 384 x 96", "b_in 384", "b_out 96"], count: 74208, shared: 0, note: "" },
  { shapes: ["W_gate, W_in 96 x 128", "W_out 128 x 96"], count: 36864, shared: 0, note: "" },
  { shapes: ["w, b 96"], count: 192, shared: 0, note: "" },
  { shapes: ["b_O 96"], count: 96, shared: 0, note: "shared by the heads of the layer" },
  { shapes: ["W_E 512 x 96"], count: 49152, shared: 0, note: "" },
];
const tooltipOf = (kind: Kind): number => KINDS.indexOf(kind);

/** A handle for the attention, and one for the MLP where that is more than one column. */
function handlesOf(columns: Column[]): Handle[] {
  const at = (of: (column: Column) => boolean) => [...columns.keys()].filter((c) => of(columns[c]!));
  const handle = (label: string, name: string, found: number[]): Handle[] =>
    found.length > 1 ? [{ label, name, word: ` ${label}`, before: found[0]!, columns: found }] : [];
  const isMlp = ({ kind, word }: Column) => kind === "mlp" || kind === "expert" || word === " mlp rest";
  return [
    ...handle(
      "attn",
      "attention",
      at(({ kind, word }) => kind === "head" || word === " attn rest"),
    ),
    ...handle("mlp", "MLP", at(isMlp)),
  ];
}

const ends = (title: string, stack: string, words: [word: string, name: string, kind: Kind][]): Band => {
  const prefix = stack ? `${stack} ` : "";
  return {
    title,
    stack,
    rows: [{ label: "", name: "", word: "", tooltip: 0 }],
    columns: words.map(([word, name, kind]) => column(word, prefix + name, prefix + word, kind)),
    handles: [],
    tooltips: [words.map(([, , kind]) => tooltipOf(kind))],
  };
};

function layers(sizes: Sizes, stack = "", title = "layers"): Band {
  const prefix = stack ? `${stack} ` : "";
  const row = (l: number) => ({
    label: `${l}`,
    name: `${prefix}layer ${l}`,
    word: `${prefix}l${l}`,
    tooltip: 0,
  });
  const columns = columnsOf(sizes);
  return {
    title,
    stack,
    rows: Array.from({ length: sizes.layers }, (_, l) => row(l)),
    columns,
    handles: handlesOf(columns),
    tooltips: [columns.map(({ kind }) => tooltipOf(kind))],
  };
}

const EMBED = ends("before the layers", "", [
  ["embed", "token embedding", "embed"],
  ["pos", "position embedding", "embed"],
]);
const UNEMBED = ends("after the layers", "", [
  ["ln_final", "final norm", "norm"],
  ["unembed", "unembedding", "embed"],
]);

function bandsOf(sizes: Sizes): [Band[], StackTab[]] {
  const { layers: l, heads } = sizes;
  const tab = (name: string, label: string): StackTab => ({
    name,
    label,
    title: `${l} layers of ${heads} heads`,
  });
  if (sizes.stacks === "encoder-decoder") {
    const final = (stack: string) => ends("after the layers", stack, [["ln_final", "final norm", "norm"]]);
    const cross = { ...layers(sizes, "cross", "cross-attention") };
    cross.columns = cross.columns.filter(({ kind, label }) => kind === "head" || label === "ln1");
    cross.handles = handlesOf(cross.columns);
    cross.tooltips = [cross.columns.map(({ kind }) => tooltipOf(kind))];
    return [
      [
        ends("shared by the stacks", "", [["embed", "token embedding, shared by both stacks", "embed"]]),
        layers(sizes, "encoder"),
        final("encoder"),
        layers(sizes, "decoder"),
        final("decoder"),
        cross,
      ],
      [tab("encoder", "encoder"), tab("decoder", "decoder"), tab("cross", "cross")],
    ];
  }
  if (sizes.stacks === "vision") {
    const vision = layers({ ...sizes, layers: 2 * l, perGroup: 1 }, "vision");
    const stem = ends("before the layers", "vision", [["stem", "patch embedding, projector", "embed"]]);
    return [
      [EMBED, layers(sizes), UNEMBED, stem, vision],
      [tab("", "text"), { ...tab("vision", "vision"), title: `${2 * l} layers of ${heads} heads` }],
    ];
  }
  return [[EMBED, layers(sizes), UNEMBED], []];
}

export function specOf(sizes: Sizes): GridSpec {
  const [bands, stacks] = bandsOf(sizes);
  const provenance = sizes.provenance ?? "table";
  const draft = {
    version: VERSION,
    model: sizes.name,
    provenance,
    provenance_note: NOTES[provenance],
    stacks,
    bands,
    tooltips: TOOLTIPS,
    metrics: METRICS,
  };
  const cells = readSpec(draft);
  const all = Array.from({ length: cells.count }, (_, n) => n);
  const at = (n: number) => {
    const position = positionOf(cells, n)!;
    return {
      row: position.row,
      kind: cells.bands[position.band]!.columns[position.column]!.kind,
      word: wordOf(cells, position),
    };
  };
  const isAbsent = (n: number) => {
    const { row, kind, word } = at(n);
    const other = sizes.absent?.includes(row) ?? false;
    if (kind === "mixer") return !other;
    if (kind === "head" || word.endsWith("attn rest") || (word.endsWith("ln1") && !sizes.mixer)) return other;
    const dense = sizes.dense?.includes(row) ?? false;
    if (kind === "mlp") return sizes.dense !== undefined && !dense;
    return dense && (kind === "expert" || word.endsWith("mlp rest"));
  };
  const isZero = (n: number) => sizes.zero?.includes(at(n).word);
  return {
    ...draft,
    absent: toWire(assign(empty(cells.count), all.filter(isAbsent), true)),
    zero: toWire(assign(empty(cells.count), all.filter(isZero), true)),
  };
}
