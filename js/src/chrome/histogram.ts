/** The histogram of the values that color the cells, with the ends of the scale and the threshold as marks on its axis. */

import { draw, make } from "../dom/elements";
import { levelOf, scaleOf } from "../grid/scales";
import type { CellValues } from "../model/cell_values";
import { clamp, short } from "../model/numbers";
import { amountOf, binsOf, countFrom, type Ranking, type ScaleEnds } from "../model/ranking";
import { makeEndSlider } from "./end_slider";

export interface HistogramState {
  /** With the ends of the scale as this view has them. */
  cellValues: CellValues;
  /** The ends of the scale as they came. */
  whole: ScaleEnds;
  ranking: Ranking;
  threshold: number;
  theme: string;
}

export interface HistogramEvents {
  /** Other ends of the scale; null for those that came with the values. */
  scaled(ends: ScaleEnds | null): void;
  /** Another threshold. */
  moved(threshold: number): void;
  /** The threshold goes so many heads along the axis. */
  stepped(heads: number): void;
}

export interface Histogram {
  element: HTMLElement;
  update(state: HistogramState): void;
}

const BINS = 48;
/** The least share of the height that a part with any cell has: one head of 16,000 can be seen. */
const LEAST = 0.08;
/** A key moves an end by this part of the axis. */
const STEP = 0.01;

/** The ends of the axis: all values, and the ends of the scale, lie between them. */
export function axisOf({ low, high }: ScaleEnds, { order }: Ranking, values: Float32Array): ScaleEnds {
  let [least, most] = [low, high];
  for (const n of order) {
    const value = values[n]!;
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { low: least, high: most };
}

/** The numbers under the axis, with where along it each stands: its ends, and zero between them. */
function numbersOf({ low, high }: ScaleEnds): [share: number, text: string][] {
  const zero = high > low ? -low / (high - low) : -1;
  return [
    [0, short(low)],
    ...(zero > 0.12 && zero < 0.88 ? ([[zero, "0"]] as [number, string][]) : []),
    [1, short(high)],
  ];
}

export function makeHistogram(events: HistogramEvents, signal: AbortSignal): Histogram {
  const bars = draw("svg", {
    class: "hg-bars",
    viewBox: `0 0 ${BINS} 1`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const numbers = make("div", { class: "hg-axis", "aria-hidden": "true" });
  const axis = make("div", { class: "hg-plot" });
  let state: HistogramState | null = null;
  let ends: ScaleEnds = { low: 0, high: 1 };

  const scaled = (side: "low" | "high", value: number) => {
    const { low, high } = state!.cellValues;
    const gap = (ends.high - ends.low) / 200;
    if (state!.ranking.twoSided) {
      // Both ends at once: zero keeps the color between the two sides.
      const far = clamp(side === "low" ? -value : value, gap, Math.max(-ends.low, ends.high));
      return events.scaled({ low: -far, high: far });
    }
    if (side === "low") events.scaled({ low: clamp(value, ends.low, high - gap), high });
    else events.scaled({ low, high: clamp(value, low + gap, ends.high) });
  };
  const endOf = (side: "low" | "high") =>
    makeEndSlider(
      `hg-${side}`,
      side === "low" ? "Low end of the colors" : "High end of the colors",
      "Drag: what lies beyond has the last color. Double click: back",
      axis,
      {
        dragged: (value) => scaled(side, value),
        stepped: (steps) => {
          const to = state!.cellValues[side] + clamp(steps, -1e9, 1e9) * STEP * (ends.high - ends.low);
          scaled(side, to);
        },
        reset: () => events.scaled(null),
      },
      signal,
    );
  const thresholdOf = (side: 1 | -1) =>
    makeEndSlider(
      `hg-cut${side < 0 ? " hg-other" : ""}`,
      side < 0 ? "" : "Threshold",
      "Drag to where heads are to be chosen",
      axis,
      {
        dragged: (value) => events.moved(state?.ranking.twoSided ? Math.max(0, side * value) : value),
        // Towards the larger values there are fewer heads.
        stepped: (steps) => events.stepped(-side * steps),
        reset: () => events.stepped(0),
      },
      signal,
    );
  const [low, high, above, below] = [endOf("low"), endOf("high"), thresholdOf(1), thresholdOf(-1)];
  axis.append(bars, low.element, high.element, below.element, above.element);
  const element = make("div", { class: "hg-histogram" }, axis, numbers);
  let drawn: unknown[] = [];

  /** What does not change while the threshold is dragged. */
  const drawBars = ({ cellValues, whole, ranking, theme }: HistogramState) => {
    const now = [cellValues, ranking, theme];
    if (now.every((one, k) => one === drawn[k])) return;
    drawn = now;
    ends = axisOf(whole, ranking, cellValues.values);
    const values = ranking.order.map((n) => cellValues.values[n]!);
    const bins = binsOf(values, ends.low, ends.high, BINS);
    const most = Math.max(1, ...bins);
    const { colors } = scaleOf(cellValues.diverging, theme);
    bars.replaceChildren(
      ...bins.flatMap((amount, k) => {
        if (!amount) return [];
        const middle = ends.low + ((k + 0.5) / BINS) * (ends.high - ends.low);
        const height = LEAST + (1 - LEAST) * Math.sqrt(amount / most);
        const fill = colors[levelOf(middle, cellValues)]!;
        return [draw("rect", { x: k + 0.05, y: 1 - height, width: 0.9, height, style: `fill:${fill}` })];
      }),
    );
    numbers.replaceChildren(
      ...numbersOf(ends).map(([share, text]) => {
        const at = make("span", { style: `--hg-at:${100 * share}%` }, text);
        at.dataset.at = share === 0 ? "start" : share === 1 ? "end" : "";
        return at;
      }),
    );
  };
  return {
    element,
    update: (now) => {
      state = now;
      drawBars(now);
      const { cellValues, ranking, threshold } = now;
      low.update(cellValues.low, ends.low, ends.high, short(cellValues.low));
      high.update(cellValues.high, ends.low, ends.high, short(cellValues.high));
      const amount = amountOf(countFrom(ranking, threshold), ranking.noun);
      above.update(threshold, ends.low, ends.high, `${short(threshold)}: ${amount}`);
      below.element.hidden = !ranking.twoSided;
      below.update(-threshold, ends.low, ends.high, `${short(-threshold)}: ${amount}`);
    },
  };
}
