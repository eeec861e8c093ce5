// Generated from src/headgrid/widget/wire/schema.py by `python -m headgrid.widget.wire.schema`. Do not edit.

export const VERSION = 9;

/** A set of cells: cell i is bit i % 8 of byte i // 8. Python's bytes arrive as a DataView. */
export type Bits = DataView;

export interface Row {
  label: string;
  name: string;
  word: string;
  tooltip: number;
}

export interface Column {
  label: string;
  name: string;
  word: string;
  kind: "head" | "mixer" | "mlp" | "expert" | "norm" | "rest" | "embed";
  group: number;
}

export interface Tooltip {
  shapes: string[];
  count: number;
  shared: number;
  note: string;
}

export interface Handle {
  label: string;
  name: string;
  word: string;
  before: number;
  columns: number[];
}

export interface Band {
  title: string;
  stack: string;
  rows: Row[];
  columns: Column[];
  handles: Handle[];
  tooltips: number[][];
}

export interface StackTab {
  name: string;
  label: string;
  title: string;
}

export interface Metric {
  name: string;
  label: string;
  help: string;
  live: boolean;
}

export interface GridSpec {
  version: number;
  model: string;
  provenance: "table" | "doubted" | "guess" | "proven";
  provenance_note: string;
  stacks: StackTab[];
  bands: Band[];
  tooltips: Tooltip[];
  metrics: Metric[];
  absent: Bits;
  zero: Bits;
}

export interface QueryError {
  message: string;
  start: number;
  end: number;
}

export interface Complete {
  n: number;
  text: string;
  at: number;
}

export interface Completion {
  text: string;
  note: string;
  begun: boolean;
}

export interface CompletionList {
  complete: number;
  start: number;
  end: number;
  items: Completion[];
}

export interface Command {
  n: number;
  by: string;
  do: "undo" | "redo" | "edit" | "only" | "query" | "save" | "recall" | "remove" | "tint" | "check";
  name: string;
  value: string;
  off: string;
}

export interface History {
  done: number;
  undo: number;
  redo: number;
}

export interface SavedSelection {
  name: string;
  text: string;
  counts: string;
  color: string;
  cells: Bits;
}

export interface SavedSelections {
  items: SavedSelection[];
}

export interface Text {
  selection: string;
  counts: string;
  n_selected: number;
  n_params: number;
  query: number;
  error: QueryError | null;
}

export interface Focus {
  n: number;
  cell: number;
  ln: "folded" | "raw";
}

export interface Recolor {
  n: number;
  metric: string;
  ln: "folded" | "raw";
}

export interface WeightLocation {
  role: string;
  parameter: string;
  index: string;
  shape: string;
  count: number;
}

export interface Score {
  name: string;
  value: string;
  help: string;
}

export interface Tokens {
  top: string[];
  top_values: number[];
  bottom: string[];
  bottom_values: number[];
}

export interface Direction {
  value: number;
  unclear: boolean;
  left: Tokens | null;
  right: Tokens | null;
}

export interface TokenPair {
  source: string;
  target: string;
  value: number;
}

export interface Circuit {
  tab: "ov" | "qk" | "mlp" | "composition";
  title: string;
  left: string;
  right: string;
  n_values: number;
  spectrum: number[];
  scores: Score[];
  directions: Direction[];
  pairs_title: string;
  pairs: TokenPair[];
  offsets: number[];
  notes: string[];
  error: string;
}

export interface Arrow {
  source: number;
  target: number;
  kind: "Q" | "K" | "V";
  value: number;
  z: number;
  carries: number | null;
  stands_out: boolean;
}

export interface Partners {
  arrows: Arrow[];
  baseline: number;
  fence: number | null;
  notes: string[];
  error: string;
}

export interface Summary {
  focus: number;
  cell: number;
  title: string;
  name: string;
  locations: WeightLocation[];
  notes: string[];
  ln: "folded" | "raw";
  tabs: ("ov" | "qk" | "mlp" | "composition")[];
  circuits: Circuit[];
  partners: Partners | null;
  pending: ("ov" | "qk" | "mlp" | "composition")[];
}

export interface SelectedHead {
  cell: number;
  title: string;
  circuits: Circuit[];
}

export interface HeadsSummary {
  heads: SelectedHead[];
  n_heads: number;
  summed: Circuit | null;
  ln: "folded" | "raw";
  pending: boolean;
}

export interface HeadsTable {
  columns: Metric[];
  cells: number[];
  values: Bits;
  note: string;
  ln: "folded" | "raw";
  pending: boolean;
}

export interface CodeQuery {
  n: number;
  library: "torch" | "transformer_lens" | "nnsight" | "devinterp" | "causalab";
}

export interface Code {
  query: number;
  library: "torch" | "transformer_lens" | "nnsight" | "devinterp" | "causalab";
  selection: string;
  text: string;
  error: string;
}

export interface Arrows {
  arrows: Arrow[];
  baseline: number;
  fence: number | null;
  note: string;
}

export interface Colors {
  recolor: number;
  metric: string;
  label: string;
  ln: string;
  low: number;
  high: number;
  range: string;
  diverging: boolean;
  values: Bits;
  error: string;
}

export interface Prompt {
  n: number;
  text: string;
  contrast: string;
}

export interface LiveQuery {
  n: number;
  row: number;
  panel: boolean;
  thumbnails: boolean;
}

export interface TaskState {
  available: boolean;
  prompt: number;
  typed: boolean;
  name: string;
  rows: string[];
  contrasts: string[];
  answers: string[];
  metric: string;
  error: string;
}

export interface NextToken {
  token: string;
  p: number;
}

export interface TypeScore {
  name: string;
  value: number;
  base: number;
  against: string;
}

export interface HeadPattern {
  cell: number;
  title: string;
  values: Bits;
  scores: TypeScore[];
}

export interface LiveView {
  query: number;
  focus: number;
  row: number;
  tokens: string[];
  keys: string[];
  triangle: boolean;
  heads: HeadPattern[];
  n_heads: number;
  next: NextToken[];
  pending: boolean;
  error: string;
}

export interface Thumbnails {
  query: number;
  row: number;
  size: number;
  cells: number[];
  values: Bits;
  note: string;
  pending: boolean;
}

export interface ModeEffect {
  mode: string;
  value: number;
  low: number;
  high: number;
  controls: number[];
}

export interface SelectionEffect {
  text: string;
  row: number;
  metric: string;
  clean: number;
  modes: ModeEffect[];
  sentence: string;
  next: NextToken[];
  without: NextToken[];
  alone: NextToken[];
  pending: boolean;
  error: string;
}

export interface ExerciseState {
  name: string;
  ask: string;
  state: "open" | "right" | "partly" | "wrong";
  sign: string;
  said: string;
  feedback: string;
  line: string;
  clicks: boolean;
  tries: number;
  pending: boolean;
}

export interface ProgressState {
  label: string;
  done: number;
  total: number;
}

/** The traits of the widget's model. */
export interface Wire {
  /** Python writes, once */
  spec: GridSpec;
  /** Python writes: the cells that are on */
  cells: Bits;
  /** Python writes: the cells of which some parts are selected, but not all */
  partial: Bits;
  /** Python writes */
  text: Text;
  /** the browser writes */
  complete: Complete;
  /** Python writes */
  completions: CompletionList;
  /** the browser writes: those that `history` does not call done yet */
  commands: Command[];
  /** Python writes */
  history: History;
  /** Python writes */
  saved: SavedSelections;
  /** the browser writes */
  focus: Focus;
  /** Python writes */
  summary: Summary;
  /** Python writes */
  selected_heads: HeadsSummary;
  /** Python writes */
  arrows: Arrows;
  /** the browser writes */
  recolor: Recolor;
  /** Python writes */
  colors: Colors;
  /** Python writes */
  progress: ProgressState;
  /** the browser writes */
  prompt: Prompt;
  /** Python writes */
  task_state: TaskState;
  /** the browser writes */
  live_query: LiveQuery;
  /** Python writes */
  live: LiveView;
  /** Python writes */
  thumbnails: Thumbnails;
  /** Python writes */
  effect: SelectionEffect;
  /** Python writes */
  heads_table: HeadsTable;
  /** the browser writes */
  code_query: CodeQuery;
  /** Python writes */
  code: Code;
  /** Python writes */
  exercise: ExerciseState;
  /** Python writes, into files only: summaries that can be shown without a kernel */
  precomputed: Summary[];
  /** Python writes, into files only: of each stack, the patterns of all heads */
  precomputed_live: LiveView[];
  /** Python writes, into files only: metrics that cells can be colored by */
  precomputed_colors: Colors[];
}
