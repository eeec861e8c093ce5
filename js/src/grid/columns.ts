/** Where the columns of a band lie: their widths, the gaps that tell blocks apart, and which labels fit. Pure. */
import { columnOfHandle, groupAt, isLabeled, orderOf } from "../model/cells";
import { tier } from "../model/numbers";
import { BLOCK_GAP, BLOCKS, GAPS, GROUP_GAP, HANDLES, LABELED, ROOMY } from "../model/style";
import type { Band, Column } from "../model/wire";

export type Measure = (text: string) => number;

/** Neighboring columns of one kind that are many: all heads, or all experts. */
export interface Block {
  title: string;
  first: number;
  last: number;
}

export interface ColumnBoxes {
  lefts: number[];
  widths: number[];
  right: number;
  /** The left edges of the handles, and their width. */
  handleLefts: number[];
  handleWidth: number;
  /** Columns and handles from left to right, each with where a pointer begins to reach it. */
  reach: { column: number; from: number }[];
  /** Each run of neighboring heads that read one key/value head: first and last column. */
  groups: [number, number][];
  /** The blocks that need a caption, because the labels of their columns are numbers alike. */
  blocks: Block[];
}

const TITLES: Partial<Record<Column["kind"], string>> = BLOCKS;

export function gapOf(cell: number): number {
  return tier(cell, GAPS)[1] ?? 0;
}

/** Whether a column is one of many of its kind, which stand close together as squares under their numbers. */
export function isOneOfMany({ kind }: Column): boolean {
  return kind in TITLES;
}

/** Runs of heads with the same group, where any run has more than one head. */
export function groupsOf(band: Band): [number, number][] {
  const runs: [number, number][] = [];
  for (let c = 0; c < band.columns.length; c++) {
    const run = groupAt(band, c);
    if (run) c = run[1];
    if (run) runs.push(run);
  }
  return runs;
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

/** The room between two neighbors: a little more around many of a kind, and clearly more before the experts. */
function between(before: Column, column: Column, cell: number): number {
  if (before.kind === column.kind) return 0;
  if (column.kind === "expert") return Math.max(BLOCK_GAP.experts, Math.round(cell * BLOCK_GAP.of_experts));
  const room = Math.max(BLOCK_GAP.least, Math.round(cell / BLOCK_GAP.of));
  return isOneOfMany(before) || isOneOfMany(column) ? room : 0;
}

/** How wide a column is that is not one of many: roomy ones leave room for a label, narrow ones set it upright. */
function widthOf({ kind, label }: Column, cell: number, measure: Measure): number {
  const text = cell >= ROOMY ? Math.ceil(measure(label)) + 2 : 0;
  const wide = kind === "mlp" || kind === "mixer";
  return Math.max(Math.min(wide ? 12 : 10, 2 * cell), text, Math.round(cell * (wide ? 1.5 : 0.7)));
}

export function columnsOf(band: Band, cell: number, left: number, measure: Measure): ColumnBoxes {
  const gap = gapOf(cell);
  const labeled = isLabeled(band);
  const groups = groupsOf(band);
  const starts = new Set(groups.map(([a]) => a));
  const [, handleWidth = 0, room = 0] = tier(cell, HANDLES);
  const lefts: number[] = [];
  const widths: number[] = [];
  const handleLefts: number[] = [];
  const reach: ColumnBoxes["reach"] = [];
  let x = left;
  let before: Column | undefined;
  let handled = false;
  for (const c of orderOf(band)) {
    const column = band.columns[c];
    const free = x;
    if (!column) {
      x += before || handled ? Math.max(room, gap) : 0;
      handleLefts[columnOfHandle(c)] = x;
      reach.push({ column: c, from: reach.length ? free : x - room });
      x += handleWidth;
      handled = true;
      continue;
    }
    if (handled) x += room;
    else if (before && labeled) x += LABELED.gap;
    else if (before)
      x +=
        (before.kind === column.kind && isOneOfMany(column) ? gap : Math.max(1, gap)) +
        (between(before, column, cell) ||
          (starts.has(c) ? Math.max(GROUP_GAP.least, Math.round(cell / GROUP_GAP.of)) : 0));
    reach.push({ column: c, from: handled ? x : (free + x) / 2 });
    lefts.push(x);
    const width = labeled
      ? Math.ceil(measure(column.label)) + LABELED.padding
      : isOneOfMany(column)
        ? cell
        : widthOf(column, cell, measure);
    widths.push(width);
    x += width;
    before = column;
    handled = false;
  }
  return {
    ...{ lefts, widths, handleLefts, handleWidth, reach, right: x, groups },
    blocks: labeled ? [] : blocksOf(band),
  };
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

/** How many heads, or experts, share one label, so that neighboring labels keep apart. */
export function labelStride(band: Band, kind: Column["kind"], pitch: number, measure: Measure): number {
  const widest = Math.max(0, ...band.columns.filter((c) => c.kind === kind).map((c) => measure(c.label)));
  for (const stride of [1, 2, 4, 8, 16, 32]) if (widest + 5 <= stride * pitch) return stride;
  return 64;
}
