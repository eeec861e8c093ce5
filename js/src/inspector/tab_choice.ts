/** The tabs of the inspector, and which of them is shown. Pure. */
import type { TabShape } from "../dom/tabs";
import { thousands } from "../model/numbers";
import type { Summary } from "../model/wire";

export const LABELS: Record<string, string> = {
  live: "Live",
  ov: "OV",
  qk: "QK",
  mlp: "MLP",
  composition: "Composition",
  weights: "Weights",
  selected: "Selected",
};

/** Tabs in the order of their likeness: a cell without the chosen one shows its nearest. */
const LIKE = ["live", "ov", "qk", "mlp", "composition", "weights"];

/** The tab to show: the chosen one where it is there, or else the cell's own that is most like it. */
export function nearestTab(wanted: string, there: readonly string[]): string {
  if (there.includes(wanted)) return wanted;
  const at = Math.max(0, LIKE.indexOf(wanted));
  // The model is run for one that was chosen, and for no other.
  const others = there.filter((name) => name !== "live");
  const own = LIKE.filter((name) => others.includes(name));
  const nearest = own.sort((a, b) => Math.abs(LIKE.indexOf(a) - at) - Math.abs(LIKE.indexOf(b) - at))[0];
  return nearest ?? others[0] ?? there[0] ?? "";
}

/** The tabs that a summary, so many selected heads and a text fill. One head alone is compared with nothing. */
export function tabsOf(summary: Summary | null, heads: number, hasText = false): TabShape[] {
  const names = [...(hasText ? ["live"] : []), ...(summary ? [...summary.tabs, "weights"] : [])];
  return [
    ...names.map((name) => ({ name, label: LABELS[name] ?? name })),
    ...(heads > 1
      ? [
          {
            name: "selected",
            label: "Selected",
            count: thousands(heads),
            spoken: `Selected, ${heads} heads in a table`,
          },
        ]
      : []),
  ];
}
