/** What the inspector is to show. Pure. */

import type { Subject } from "../inspector/inspector";
import { nameOf, spotOf, wordOf } from "./cells";
import { arrowsOf, precomputedOf, selectedHeadsOf, summaryOf } from "./reads";
import type { Ln, Sync } from "./sync";

/** A cell that is looked at, and how its weights are read. */
export interface Looked {
  cell: number;
  ln: Ln;
}

/** Of the cell that was asked about; without a kernel, of the one that this view looks at. */
export function subjectOf(sync: Sync, live: boolean, looked: Looked): Subject {
  const { cells } = sync;
  const { cell, ln } = live ? sync.focus : looked;
  // Without a kernel the last answer stands for its own cell, and what the page brought along for the others.
  const last = summaryOf(sync);
  const isKept = (one: Ln) => precomputedOf(sync, cell, one)?.ln === one;
  const isLast = last?.cell === cell && (last.ln === ln || !isKept(ln));
  const summary = live || isLast ? last : precomputedOf(sync, cell, ln);
  const spot = spotOf(cells, cell);
  return {
    asked: spot && { title: wordOf(cells, spot), name: nameOf(cells, spot) },
    summary,
    heads: selectedHeadsOf(sync),
    note: arrowsOf(sync).note,
    ln: live ? ln : (summary?.ln ?? ln),
    hasNorms: cells.metrics.length > 0 || Boolean(summary?.tabs.length),
    live,
    hasBoth: isKept("folded") && isKept("raw"),
  };
}
