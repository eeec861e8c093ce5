/** The content of the inspector, from the answers of Python. Pure. */

import { nameOf, positionOf, wordOf } from "../model/cells";
import type { Ln, Sync } from "../model/sync";
import type { InspectorContent } from "./inspector";

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
    note: sync.arrows.note,
    ln: live ? ln : (summary?.ln ?? ln),
    hasNorms: cells.metrics.length > 0 || Boolean(summary?.tabs.length),
    live,
    hasBoth: isPrecomputed("folded") && isPrecomputed("raw"),
  };
}
