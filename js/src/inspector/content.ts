/** What the inspector is to show. Pure. */

import { nameOf, positionOf, wordOf } from "../model/cells";
import type { Ln, Sync } from "../model/sync";
import type { InspectorContent } from "./inspector";

/** A cell that is viewFocus at, and how its weights are read. */
export interface ViewFocus {
  cell: number;
  ln: Ln;
}

/** Of the cell that was asked about; without a kernel, of the one that this view looks at. */
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
