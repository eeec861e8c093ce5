/** What the colours of the cells mean. */
import { make, setText } from "./dom";
import { short } from "./numbers";
import { scaleOf } from "./scales";
import type { Shades } from "./shades";

const LN: Record<string, string> = { folded: "norms folded", raw: "raw weights" };

/** The numbers along the scale: its ends, and its middle where that means zero. */
export function ticksOf({ low, high, diverging }: Shades): string[] {
  return [low, ...(diverging ? [(low + high) / 2] : []), high].map(short);
}

/** Fills the legend's place, which is there as long as there are colours. Returns what writes it anew. */
export function makeLegend(element: HTMLElement): (shades: Shades | null, theme: string) => void {
  const label = make("span", { class: "hg-strong" });
  const scale = make("span", { class: "hg-scale" });
  const ticks = make("span", { class: "hg-ticks" });
  const ramp = make("span", { class: "hg-ramp" }, scale, ticks);
  const ln = make("span", { class: "hg-muted" });
  const none = make("span", { class: "hg-missing hg-muted" }, make("i"), "no value");
  element.append(label, ramp, none, ln);
  return (shades, theme) => {
    if (!shades) return;
    setText(label, shades.label);
    setText(ln, LN[shades.ln] ?? "");
    scale.style.background = scaleOf(shades.diverging, theme).gradient;
    ticks.replaceChildren(...ticksOf(shades).map((tick) => make("span", {}, tick)));
    ramp.hidden = shades.values.every(Number.isNaN);
    none.hidden = !shades.missing;
  };
}
