/** The legend: what the colors of the cells mean. */

import { make, setText } from "../dom/elements";
import { scaleOf } from "../grid/scales";
import type { CellValues } from "../model/cell_values";
import { short } from "../model/numbers";
import { LEGEND } from "../model/style";

/** Whether norms are folded into what is shown; "" where that does not say itself. */
export const lnText = (ln: string): string =>
  ln === "folded" ? LEGEND.folded : ln === "raw" ? LEGEND.raw : "";

/** Whether some values lie below the scale, and whether some lie above it. */
export const beyond = ({ low, high, values }: CellValues) =>
  [values.some((value) => value < low), values.some((value) => value > high)] as const;

/** The numbers along the scale: its ends, beyond which some values may lie, and its middle where that means zero. */
export function ticksOf(cellValues: CellValues): string[] {
  const { low, high, diverging } = cellValues;
  const [below, above] = beyond(cellValues);
  return [
    `${below ? "≤ " : ""}${short(low)}`,
    ...(diverging ? [short((low + high) / 2)] : []),
    `${above ? "≥ " : ""}${short(high)}`,
  ];
}

export interface Legend {
  element: HTMLElement;
  update(cellValues: CellValues | null, theme: string): void;
}

/** The legend of the colors; hidden while there are none. */
export function makeLegend(): Legend {
  const label = make("span", { class: "hg-strong" });
  const scale = make("span", { class: "hg-scale" });
  const ticks = make("span", { class: "hg-ticks" });
  const ramp = make("span", { class: "hg-ramp" }, scale, ticks);
  const ln = make("span", { class: "hg-muted" });
  const none = make("span", { class: "hg-missing hg-muted" }, make("i"), LEGEND.missing);
  const range = make("span", { class: "hg-muted" });
  const far = make("span", { class: "hg-missing hg-beyond hg-muted" }, make("i"), LEGEND.beyond);
  const element = make(
    "div",
    { class: "hg-row hg-legend", role: "group", "aria-label": "Colors", hidden: true },
    ...[label, ramp, range, far, none, ln],
  );
  const update = (cellValues: CellValues | null, theme: string) => {
    element.hidden = !cellValues;
    if (!cellValues) return;
    setText(label, cellValues.label);
    setText(ln, lnText(cellValues.ln));
    scale.style.background = scaleOf(cellValues.diverging, theme).gradient;
    ticks.replaceChildren(...ticksOf(cellValues).map((tick) => make("span", {}, tick)));
    ramp.hidden = cellValues.values.every(Number.isNaN);
    setText(range, cellValues.range);
    far.hidden = !beyond(cellValues).some(Boolean);
    none.hidden = !cellValues.missing;
  };
  return { element, update };
}
