/** A small bar chart. Pointer and arrow keys tell one bar's value; a screen reader hears it as a slider's. */

import { draw, make, OWN_KEYS, setText } from "../dom/elements";
import { barAt, barFor, barsOf, HEIGHT } from "./bars";

export interface Chart {
  title: string;
  values: readonly number[];
  /** What stands beside the title while no bar is pointed at. */
  range: string;
  /** One bar in words: "direction 3: 4.21". */
  say(i: number): string;
  /** How many of the first bars are told apart from the rest. */
  shown: number;
  isUnclear(i: number): boolean;
}

/** The bars alone, as a picture beside the numbers that say the same. */
export function drawBars({ values, shown, isUnclear }: Chart, ...more: Node[]): SVGElement {
  const bars = barsOf(values);
  const layer = (name: string, wanted: (i: number) => boolean) =>
    draw("path", { class: name, d: bars.path(wanted) });
  return draw(
    "svg",
    { viewBox: `0 0 ${values.length} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...more,
    layer("hg-rest", (i) => i >= shown),
    layer("hg-shown", (i) => i < shown && !isUnclear(i)),
    layer("hg-unclear", (i) => i < shown && isUnclear(i)),
    draw("path", { class: "hg-zero", d: `M0 ${bars.zero}H${values.length}` }),
  );
}

export function makeChart(chart: Chart): HTMLElement {
  const { title, values, range, say } = chart;
  const count = values.length;
  const mark = draw("rect", { class: "hg-at", y: 0, width: 1, height: HEIGHT });
  const readout = make("span", { class: "hg-readout", "aria-hidden": "true" }, range);
  const plot = make("div", {
    class: "hg-plot",
    role: "slider",
    tabindex: 0,
    "aria-readonly": "true",
    "aria-label": `${title}: ${range}`,
    "aria-valuemin": 1,
    "aria-valuemax": count,
    ...OWN_KEYS,
  });
  plot.append(drawBars(chart, mark));
  let at = 0;
  const point = (i: number | null) => {
    if (i !== null) at = i;
    mark.setAttribute("x", String(at));
    mark.setAttribute("visibility", i === null ? "hidden" : "visible");
    plot.setAttribute("aria-valuenow", String(at + 1));
    plot.setAttribute("aria-valuetext", say(at));
    setText(readout, i === null ? range : say(i));
  };
  const rest = () => point(plot.matches(":focus-visible") ? at : null);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    point(barAt((event.clientX - box.left) / box.width, count));
  });
  for (const name of ["pointerleave", "focus", "blur"]) plot.addEventListener(name, rest);
  plot.addEventListener("keydown", (event) => {
    const to = barFor(event.key, at, count);
    if (to === null) return;
    event.preventDefault();
    point(to);
  });
  point(null);
  return make(
    "figure",
    { class: "hg-chart" },
    make("figcaption", {}, make("span", {}, title), readout),
    plot,
  );
}
