/** What the colors of the cells mean. */

import { scaleOf } from "../grid/scales";
import { short } from "../model/numbers";
import type { Shades } from "../model/values";
import { make, setText } from "./dom";

const LN: Record<string, string> = { folded: "norms folded", raw: "raw weights" };

/** Whether some values lie below the scale, and whether some lie above it. */
export const beyond = ({ low, high, values }: Shades) =>
  [values.some((value) => value < low), values.some((value) => value > high)] as const;

/** The numbers along the scale: its ends, beyond which some values may lie, and its middle where that means zero. */
export function ticksOf(shades: Shades): string[] {
  const { low, high, diverging } = shades;
  const [below, above] = beyond(shades);
  return [
    `${below ? "≤ " : ""}${short(low)}`,
    ...(diverging ? [short((low + high) / 2)] : []),
    `${above ? "≥ " : ""}${short(high)}`,
  ];
}

export interface Legend {
  element: HTMLElement;
  update(shades: Shades | null, theme: string): void;
}

/** The legend of the colors; hidden while there are none. */
export function makeLegend(): Legend {
  const label = make("span", { class: "hg-strong" });
  const scale = make("span", { class: "hg-scale" });
  const ticks = make("span", { class: "hg-ticks" });
  const ramp = make("span", { class: "hg-ramp" }, scale, ticks);
  const ln = make("span", { class: "hg-muted" });
  const none = make("span", { class: "hg-missing hg-muted" }, make("i"), "no value");
  const range = make("span", { class: "hg-muted" });
  const far = make("span", { class: "hg-missing hg-far hg-muted" }, make("i"), "beyond the scale");
  const element = make(
    "div",
    { class: "hg-row hg-legend", role: "group", "aria-label": "Colors", hidden: true },
    ...[label, ramp, range, far, none, ln],
  );
  const update = (shades: Shades | null, theme: string) => {
    element.hidden = !shades;
    if (!shades) return;
    setText(label, shades.label);
    setText(ln, LN[shades.ln] ?? "");
    scale.style.background = scaleOf(shades.diverging, theme).gradient;
    ticks.replaceChildren(...ticksOf(shades).map((tick) => make("span", {}, tick)));
    ramp.hidden = shades.values.every(Number.isNaN);
    setText(range, shades.range);
    far.hidden = !beyond(shades).some(Boolean);
    none.hidden = !shades.missing;
  };
  return { element, update };
}
