/** What a page without Python answers from what came with it: summaries, patterns, colors, the selected heads. Pure. */
import { patternsOf, squaresOf } from "../live/patterns";
import { type BitSet, has } from "../model/bits";
import { type Cells, nameOf, positionOf, wordOf } from "../model/cells";
import type {
  Colors,
  Focus,
  HeadsSummary,
  HeadsTable,
  LiveQuery,
  LiveView,
  Metric,
  Recolor,
  Summary,
  Thumbnails,
} from "../model/wire";

/** As many patterns side by side as Python shows, and the side of a small one in squares. */
const MOST_PATTERNS = 8;
const SMALL = 16;
/** The heads whose circuits stand side by side. */
const MOST_BESIDE = 6;
const UNREAD = "The weights of this cell were not read, and there is no kernel that could.";

const listOf = <T>(value: unknown): T[] => (Array.isArray(value) ? (value as T[]) : []);

/** What a page brought along. */
export interface PageStore {
  summaries: readonly Summary[];
  views: readonly LiveView[];
  colors: readonly Colors[];
}

export function storeOf(state: Record<string, unknown>): PageStore {
  const [last, live] = [state.colors as Colors | undefined, state.live as LiveView | undefined];
  const colors = listOf<Colors>(state.precomputed_colors);
  const isThere = colors.some(({ metric, ln }) => metric === last?.metric && ln === last.ln);
  const views = listOf<LiveView>(state.precomputed_live);
  // A saved notebook has the last description alone.
  const summaries = listOf<Summary>(state.precomputed);
  const summary = state.summary as Summary;
  const isKept = !summary?.circuits?.length || summaries.some(({ cell }) => cell === summary.cell);
  return {
    summaries: isKept ? summaries : [...summaries, summary],
    views: views.length || !live?.heads?.length ? views : [live],
    // A page that keeps no colors still has those that it shows.
    colors: last?.metric && last.values?.byteLength && !isThere ? [...colors, last] : colors,
  };
}

/** The metrics that the cells can be colored by. */
export function metricsOf({ colors }: PageStore, metrics: readonly Metric[] = []): Metric[] {
  return metrics.filter(({ name }) => colors.some(({ metric }) => metric === name));
}

/** The description of the cell in focus; with other norms than were asked for where the page has no such. */
export function summaryOf({ summaries }: PageStore, cells: Cells, { n, cell, ln }: Focus): Summary {
  const mine = summaries.filter((one) => one.cell === cell);
  const found = mine.find((one) => one.ln === ln) ?? mine[0];
  if (found) return { ...found, focus: n };
  const position = positionOf(cells, cell);
  return {
    ...{ focus: n, cell, ln, locations: [], notes: [UNREAD], tabs: [], circuits: [], partners: null },
    title: position ? wordOf(cells, position) : "",
    name: position ? nameOf(cells, position) : "",
    pending: [],
  };
}

export function colorsOf({ colors }: PageStore, { n, metric, ln }: Recolor): Colors | null {
  const mine = colors.filter((one) => metric && one.metric === metric);
  const found = mine.find((one) => one.ln === ln) ?? mine[0];
  return found ? { ...found, recolor: n, ln: found.ln } : null;
}

/** The patterns of the head that is looked at and of the selected ones. */
export function liveOf({ views }: PageStore, query: LiveQuery, focus: Focus, on: BitSet): LiveView {
  const holds = (view: LiveView) => view.heads.some(({ cell }) => cell === focus.cell || has(on, cell));
  const rows = views.filter(({ row }) => row === query.row);
  const view = rows.find(holds) ?? rows[0];
  const answer = { query: query.n, focus: focus.n, row: query.row, pending: false };
  if (!view) {
    const error = views.length
      ? `This page has row ${views[0]!.row + 1} of the task alone: Python is needed for another.`
      : "";
    return { ...answer, error, tokens: [], keys: [], triangle: true, heads: [], n_heads: 0, next: [] };
  }
  const looked = view.heads.filter(({ cell }) => cell === focus.cell);
  const selected = view.heads.filter(({ cell }) => cell !== focus.cell && has(on, cell));
  const heads = [...looked, ...selected];
  return { ...view, ...answer, error: "", heads: heads.slice(0, MOST_PATTERNS), n_heads: heads.length };
}

/** The patterns of all heads, small. */
export function thumbnailsOf({ views }: PageStore, query: LiveQuery): Thumbnails {
  const mine = views.filter(({ row }) => row === query.row);
  const tokens = Math.max(0, ...mine.map((view) => Math.max(view.tokens.length, view.keys.length)));
  const pooling = Math.max(1, Math.ceil(tokens / SMALL));
  const size = Math.ceil(tokens / pooling);
  const all = mine.flatMap(patternsOf);
  const values = new Uint8Array(all.length * size * size);
  for (const [k, pattern] of all.entries()) {
    const { rows, columns, roots } = squaresOf(pattern, pooling, false);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++)
        values[(k * size + r) * size + c] = Math.round(255 * (roots[r * columns + c] || 0));
  }
  const note = pooling > 1 ? `each square is the largest of ${pooling} × ${pooling} tokens` : "";
  const bytes = new DataView(values.buffer);
  return {
    query: query.n,
    row: query.row,
    size,
    cells: all.map(({ cell }) => cell),
    values: bytes,
    note,
    pending: false,
  };
}

/** The selected heads with the metrics of the page. */
export function headsTableOf(
  store: PageStore,
  metrics: readonly Metric[],
  heads: readonly number[],
  ln: Focus["ln"],
): HeadsTable {
  const columns = metrics.map((metric) => ({
    metric,
    colors: colorsOf(store, { n: 0, metric: metric.name, ln })!,
  }));
  const bytes = new DataView(new ArrayBuffer(4 * heads.length * columns.length));
  for (const [row, cell] of heads.entries())
    for (const [c, { colors }] of columns.entries()) {
      const isThere = colors.values.byteLength >= 4 * (cell + 1);
      const value = isThere ? colors.values.getFloat32(4 * cell, true) : Number.NaN;
      bytes.setFloat32(4 * (row * columns.length + c), value, true);
    }
  return {
    columns: columns.map(({ metric }) => metric),
    cells: columns.length ? [...heads] : [],
    values: bytes,
    note: "",
    ln,
    pending: false,
  };
}

/** The circuits of the selected heads side by side, where the page has those of all of them. */
export function besideOf({ summaries }: PageStore, heads: readonly number[], ln: Focus["ln"]): HeadsSummary {
  const found = heads
    .slice(0, MOST_BESIDE)
    .flatMap(
      (cell) => summaries.find((one) => one.cell === cell && one.ln === ln && one.circuits.length) ?? [],
    );
  const isWhole = heads.length > 1 && found.length === Math.min(heads.length, MOST_BESIDE);
  return {
    heads: isWhole ? found.map(({ cell, title, circuits }) => ({ cell, title, circuits })) : [],
    n_heads: isWhole ? heads.length : 0,
    summed: null,
    ln,
    pending: false,
  };
}
