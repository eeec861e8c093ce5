// Generated from src/headgrid/widget/wire.py by `python -m headgrid.widget.wire`. Do not edit.

export const VERSION = 2;

/** A set of cells: cell i is bit i % 8 of byte i // 8. Python's bytes arrive as a DataView. */
export type Bits = DataView;

export interface Row {
  label: string;
  name: string;
  word: string;
}

export interface Column {
  label: string;
  name: string;
  word: string;
  kind: "head" | "mixer" | "mlp" | "expert" | "norm" | "rest" | "embed";
  group: number;
}

export interface Band {
  title: string;
  stack: string;
  rows: Row[];
  columns: Column[];
}

export interface StackTab {
  name: string;
  label: string;
  title: string;
}

export interface Plan {
  version: number;
  model: string;
  standing: "table" | "guess" | "proven";
  standing_note: string;
  stacks: StackTab[];
  bands: Band[];
  absent: Bits;
  zero: Bits;
}

export interface Query {
  n: number;
  text: string;
}

export interface QueryError {
  message: string;
  start: number;
  end: number;
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
}

export interface Place {
  role: string;
  parameter: string;
  index: string;
  shape: string;
  count: number;
}

export interface Summary {
  focus: number;
  cell: number;
  title: string;
  name: string;
  places: Place[];
  notes: string[];
}

/** The traits of the widget's model. */
export interface Wire {
  /** Python writes, once */
  plan: Plan;
  /** both write: the cells that are on */
  cells: Bits;
  /** Python writes: the cells of which some parts are selected, but not all */
  partial: Bits;
  /** the browser writes */
  query: Query;
  /** Python writes */
  text: Text;
  /** the browser writes */
  focus: Focus;
  /** Python writes */
  summary: Summary;
}
