/** The content of the inspector, from the answers of Python. Pure. */

import { has } from "../model/bits";
import { type Cells, nameOf, positionOf, wordOf } from "../model/cells";
import type { Ln, Sync } from "../model/sync";
import type { InspectorContent, TextTab } from "./inspector";

/** The cell that one view inspects while there is no kernel, and how its weights are read. */
export interface ViewFocus {
  cell: number;
  ln: Ln;
}

/** The content for the cell in focus; without a kernel, for the cell that this view inspects. */
export function inspectorContent(sync: Sync, live: boolean, viewFocus: ViewFocus): InspectorContent {
  const { cells } = sync;
  const { cell, ln } = live ? sync.focus : viewFocus;
  // Without a kernel the last answer stands for its own cell, and what the page brought along for the others.
  const last = sync.summary;
  const isPrecomputed = (one: Ln) => sync.precomputed(cell, one)?.ln === one;
  const isLast = last?.cell === cell && (last.ln === ln || !isPrecomputed(ln));
  const summary = live || isLast ? last : sync.precomputed(cell, ln);
  const position = positionOf(cells, cell);
  return {
    asked: position && { title: wordOf(cells, position), name: nameOf(cells, position) },
    summary,
    heads: sync.selectedHeads,
    rows: sync.headRows,
    cell,
    note: sync.arrows.note,
    ln: live ? ln : (summary?.ln ?? ln),
    hasNorms: cells.metrics.length > 0 || Boolean(summary?.tabs.length),
    live,
    hasBoth: isPrecomputed("folded") && isPrecomputed("raw"),
    onText: textTabOf(sync, live, cell),
  };
}

/** Whether a cell is a head. */
export function isHead(cells: Cells, cell: number): boolean {
  const position = positionOf(cells, cell);
  return position !== null && cells.bands[position.band]!.columns[position.column]!.kind === "head";
}

/** Whether what a cell, or the selected heads, do on a text can be shown: a head is looked at, or some are selected and nothing is looked at. */
export function hasTextTab(sync: Sync, live: boolean, cell: number): boolean {
  const { cells, on, onText } = sync;
  if (!live) return onText.view?.heads.some((head) => head.cell === cell || cell < 0) ?? false;
  if (!onText.task.available) return false;
  if (cell >= 0) return isHead(cells, cell);
  for (let n = 0; n < cells.count; n++) if (has(on, n) && isHead(cells, n)) return true;
  return false;
}

function textTabOf(sync: Sync, live: boolean, cell: number): TextTab | null {
  if (!hasTextTab(sync, live, cell)) return null;
  const { query, view, task } = sync.onText;
  const isBusy = live && query.panel && task.rows.length > 0 && (view?.pending ?? true);
  return { isFirst: query.panel, isBusy };
}
