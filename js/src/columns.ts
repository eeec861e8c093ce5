/** Where the columns of a band lie: their widths, the gaps that tell blocks apart, and which labels fit. Pure. */
import { isLabelled } from "./cells";
import type { Band, Column } from "./wire";

export type Measure = (text: string) => number;

/** Neighbouring columns of one kind that are many: all heads, or all experts. */
export interface Block {
  title: string;
  first: number;
  last: number;
}

export interface ColumnBoxes {
  lefts: number[];
  widths: number[];
  right: number;
  /** Each run of neighbouring heads that read one key/value head: first and last column. */
  groups: [number, number][];
  /** The blocks that need a caption, because the labels of their columns are numbers alike. */
  blocks: Block[];
}

const ROOMY = 12;
const TITLES: Partial<Record<Column["kind"], string>> = { head: "heads", expert: "experts" };

export function gapOf(cell: number): number {
  return cell >= 18 ? 3 : cell >= 10 ? 2 : 1;
}

/** Whether a column is one of many of its kind, which stand close together as squares under their numbers. */
export function isOneOfMany({ kind }: Column): boolean {
  return kind in TITLES;
}

/** Runs of heads with the same group, where any run has more than one head. */
export function groupsOf(band: Band): [number, number][] {
  const runs: [number, number][] = [];
  band.columns.forEach((column, c) => {
    const last = runs.at(-1);
    if (column.kind !== "head" || column.group < 0) return;
    if (last && last[1] === c - 1 && band.columns[c - 1]!.group === column.group) last[1] = c;
    else runs.push([c, c]);
  });
  return runs.some(([a, b]) => b > a) ? runs : [];
}

/** The blocks of heads and of experts; none in a band that has no experts, where numbers can only mean heads. */
export function blocksOf(band: Band): Block[] {
  const blocks: Block[] = [];
  band.columns.forEach((column, c) => {
    const title = TITLES[column.kind];
    const last = blocks.at(-1);
    if (!title) return;
    if (last?.title === title && last.last === c - 1) last.last = c;
    else blocks.push({ title, first: c, last: c });
  });
  return blocks.some(({ title }) => title === TITLES.expert) ? blocks : [];
}

/** The room between two neighbours: a little more around many of a kind, and clearly more before the experts. */
function between(before: Column, column: Column, cell: number): number {
  if (before.kind === column.kind) return 0;
  if (column.kind === "expert") return Math.max(10, Math.round(cell * 0.6));
  return isOneOfMany(before) || isOneOfMany(column) ? Math.max(4, Math.round(cell / 4)) : 0;
}

export function columnsOf(band: Band, cell: number, left: number, measure: Measure): ColumnBoxes {
  const gap = gapOf(cell);
  const labelled = isLabelled(band);
  const groups = groupsOf(band);
  const starts = new Set(groups.map(([a]) => a));
  const lefts: number[] = [];
  const widths: number[] = [];
  let x = left;
  band.columns.forEach((column, c) => {
    const before = band.columns[c - 1];
    const more = before ? between(before, column, cell) : 0;
    if (before && labelled) x += 6;
    else if (before) x += gap + (more || (starts.has(c) ? Math.max(2, Math.round(cell / 6)) : 0));
    // Roomy cells leave room for a label; narrow ones set it upright.
    const label = cell >= ROOMY ? Math.ceil(measure(column.label)) + 2 : 0;
    let width = cell;
    if (labelled) width = Math.ceil(measure(column.label)) + 24;
    else if (column.kind === "mlp" || column.kind === "mixer")
      width = Math.max(12, label, Math.round(cell * 1.5));
    else if (!isOneOfMany(column)) width = Math.max(10, label, Math.round(cell * 0.7));
    lefts.push(x);
    widths.push(width);
    x += width;
  });
  return { lefts, widths, right: x, groups, blocks: labelled ? [] : blocksOf(band) };
}

/** Whether a column's label has to stand upright because it is wider than its column. */
export function isUpright(
  band: Band,
  box: { widths: number[] },
  column: number,
  gap: number,
  measure: Measure,
): boolean {
  const shape = band.columns[column]!;
  return !isOneOfMany(shape) && measure(shape.label) > box.widths[column]! + gap;
}

/** How many heads, or experts, share one label, so that neighbouring labels keep apart. */
export function labelStride(band: Band, kind: Column["kind"], pitch: number, measure: Measure): number {
  const widest = Math.max(0, ...band.columns.filter((c) => c.kind === kind).map((c) => measure(c.label)));
  for (const stride of [1, 2, 4, 8, 16, 32]) if (widest + 5 <= stride * pitch) return stride;
  return 64;
}
