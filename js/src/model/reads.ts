/** What Python answers that only the second module shows: reads of the model's traits. */
import { has } from "./bits";
import type { Ln, Sync } from "./sync";
import type { Arrows, Completions, HeadsSummary, Summary } from "./wire";

const UNKNOWN = { notes: [], ln: "folded", tabs: [], circuits: [], partners: null, pending: [] } as const;

/** The summary, unless it answers another question than the last one. */
export function summaryOf(sync: Sync): Summary | null {
  const summary = sync.read("summary");
  if (!summary?.locations || summary.focus !== sync.focus.n || (summary.cell ?? -1) < 0) return null;
  return { ...UNKNOWN, ...summary } as Summary;
}

/** The selected heads side by side; those that were taken out since are left out. */
export function selectedHeadsOf(sync: Sync): HeadsSummary | null {
  const { heads = [], n_heads = 0, ...rest } = sync.read("selected_heads") ?? {};
  if (n_heads < 2) return null;
  const still = heads.filter(({ cell }) => has(sync.on, cell));
  const { ln } = sync.focus;
  const pending = rest.pending || still.length < heads.length || (rest.ln ?? ln) !== ln;
  return { summed: null, ln, ...rest, heads: still, n_heads, pending };
}

/** Composition among the selected heads, without the arrows of those that were taken out since. */
export function arrowsOf(sync: Sync): Arrows {
  const { arrows = [], baseline = 0, fence = null, note = "" } = sync.read("arrows") ?? {};
  const isOn = (cell: number) => has(sync.on, cell);
  return { arrows: arrows.filter((a) => isOn(a.source) && isOn(a.target)), baseline, fence, note };
}

/** What may stand in the box, unless it answers an older text than the last. */
export function completionsOf(sync: Sync): Completions | null {
  const answer = sync.read("completions");
  if (!answer?.items || answer.complete !== sync.read("complete")?.n) return null;
  return { start: 0, end: 0, ...answer } as Completions;
}

/** The description of a cell that a page without a kernel brought along; rather of these norms than of others. */
export function precomputedOf(sync: Sync, cell: number, ln: Ln): Summary | null {
  const all = sync.read("precomputed");
  const precomputed = (Array.isArray(all) ? (all as Summary[]) : []).filter(
    (summary) => summary.cell === cell,
  );
  const summary = precomputed.find((one) => one.ln === ln) ?? precomputed[0];
  return summary ? { ...UNKNOWN, ...summary } : null;
}
