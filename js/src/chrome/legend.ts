/** The legend: what the colors of the cells mean, how their values are spread, and a selection of the largest of them. */

import { button, keepKeys, make, OWN_KEYS, on, setOff, setText } from "../dom/elements";
import { rovingFocus } from "../dom/roving";
import { type CellValues, numberOf } from "../model/cell_values";
import { clamp, short } from "../model/numbers";
import { amountOf, countFrom, type Ranking, type ScaleEnds } from "../model/ranking";
import { LEGEND } from "../model/style";
import { makeHistogram } from "./histogram";
import { LOST } from "./toolbar";

/** Whether norms are folded into what is shown; "" where that does not say itself. */
export const lnText = (ln: string): string =>
  ln === "folded" ? LEGEND.folded : ln === "raw" ? LEGEND.raw : "";

/** Whether some values lie below the scale, and whether some lie above it. */
export const beyond = ({ low, high, values }: CellValues) =>
  [values.some((value) => value < low), values.some((value) => value > high)] as const;

/** The numbers along a scale: its ends, beyond which some values may lie, and its middle where that means zero. */
export function ticksOf(cellValues: CellValues): string[] {
  const { low, high, diverging } = cellValues;
  const [below, above] = beyond(cellValues);
  return [
    `${below ? "≤ " : ""}${short(low)}`,
    ...(diverging ? [short((low + high) / 2)] : []),
    `${above ? "≥ " : ""}${short(high)}`,
  ];
}

/** How many heads a threshold is put at first. */
export function startCount({ order }: Ranking): number {
  return order.length >= 40 ? 10 : Math.max(1, Math.min(order.length, Math.round(order.length / 4)));
}

export interface LegendState {
  /** The values, with the ends of the scale as this view has them. */
  cellValues: CellValues | null;
  /** The ends of the scale as they came. */
  whole: ScaleEnds | null;
  ranking: Ranking | null;
  /** Whether this view chose the ends. */
  isScaled: boolean;
  theme: string;
  live: boolean;
  /** Whether there may be colors: then the legend has its place before there are. */
  hasMetrics: boolean;
  word(cell: number): string;
}

export interface LegendEvents {
  scaled(ends: ScaleEnds | null): void;
  /** Selects these cells alone, or as well; `what` says which they are. */
  choose(cells: readonly number[], what: string, add: boolean): void;
  /** Looks at a cell, without selecting it. */
  look(cell: number): void;
}

export interface Legend {
  element: HTMLElement;
  update(state: LegendState): void;
}

const HINT = "Color the cells: how their values are spread stands here, and selects the largest.";
/** The list has the chosen heads, and no fewer or more than these. */
const LISTED = [10, 60] as const;

export function makeLegend(events: LegendEvents, signal: AbortSignal): Legend {
  let state: LegendState | null = null;
  /** What the threshold belongs to; another metric has another one. */
  let of = "";
  let threshold = 0;
  const label = make("span", { class: "hg-strong" });
  const range = make("span", { class: "hg-muted" });
  const ln = make("span", { class: "hg-muted" });
  const far = make("span", { class: "hg-missing hg-beyond hg-muted" }, make("i"), LEGEND.beyond);
  const none = make("span", { class: "hg-missing hg-muted" }, make("i"), LEGEND.missing);
  const back = button(
    "Reset scale",
    { title: "The ends of the scale as they came" },
    () => events.scaled(null),
    signal,
  );
  const head = make("div", { class: "hg-legend-head" }, label, range, far, none, ln, back);

  /** To where so many are at or beyond it. */
  const moveToCount = (count: number) => {
    const ranking = state?.ranking;
    if (!ranking?.order.length) return;
    threshold = ranking.sizes[clamp(Math.round(count), 1, ranking.order.length) - 1]!;
    show();
  };
  const histogram = makeHistogram(
    {
      scaled: events.scaled,
      moved: (value) => {
        threshold = value;
        show();
      },
      stepped: (heads) => {
        const ranking = state!.ranking!;
        if (heads === 0) return moveToCount(startCount(ranking));
        const count = countFrom(ranking, threshold);
        // Past those of one value, which come and go together.
        let to = clamp(count + heads, 1, ranking.order.length);
        while (heads < 0 && to > 1 && ranking.sizes[to - 1] === ranking.sizes[count - 1]) to--;
        moveToCount(to);
      },
    },
    signal,
  );

  const number = (name: string, more = {}) =>
    make("input", { type: "number", class: "hg-number-field", "aria-label": name, ...OWN_KEYS, ...more });
  const sign = make("span", { class: "hg-muted" });
  const least = number("Threshold", { step: "any" });
  const top = number("How many of the largest", { min: 1, step: 1 });
  const amount = make("span", { class: "hg-amount-from", role: "status" });
  on(
    least,
    "change",
    () => {
      const value = Number.parseFloat(least.value);
      if (Number.isFinite(value)) threshold = state?.ranking?.twoSided ? Math.abs(value) : value;
      show();
    },
    signal,
  );
  on(top, "input", () => top.value && moveToCount(Number(top.value)), signal);
  const chosen = () => {
    const { ranking } = state!;
    return ranking!.order.slice(0, countFrom(ranking!, threshold));
  };
  const choose = (add: boolean) => {
    const cells = chosen();
    const { cellValues, ranking } = state!;
    const what = `${amountOf(cells.length, ranking!.noun)} with ${cellValues!.label} ${signOf(ranking!)} ${short(threshold)}`;
    events.choose(cells, what, add);
  };
  const select = button("Select", {}, () => choose(false), signal);
  const add = button("Add", {}, () => choose(true), signal);
  const row = make(
    "div",
    { class: "hg-cut-row" },
    amount,
    make("label", {}, sign, least),
    select,
    add,
    make("label", { class: "hg-top-field" }, "top", top),
  );
  keepKeys(row, signal);
  const list = make("div", { class: "hg-largest", role: "group", "aria-label": "The largest, in order" });
  const roving = rovingFocus(list, signal);
  const hint = make("p", { class: "hg-muted hg-legend-hint" }, HINT);
  const content = make("div", { class: "hg-legend-content" }, head, histogram.element, row, list);
  const element = make(
    "div",
    { class: "hg-legend", role: "group", "aria-label": "Colors", hidden: true },
    hint,
    content,
  );
  keepKeys(histogram.element, signal);
  keepKeys(list, signal);

  let listed = "";
  const showList = (count: number) => {
    const { ranking, cellValues, word } = state!;
    const cells = ranking!.order.slice(0, clamp(count, ...LISTED));
    const key = JSON.stringify([of, cells]);
    for (const [k, node] of [...list.children].entries()) node.classList.toggle("hg-in", k < count);
    if (key === listed) return;
    listed = key;
    const buttons = cells.map((cell, k) =>
      button(
        make("code", {}, word(cell)),
        {
          class: `hg-button${k < count ? " hg-in" : ""}`,
          title: `Look at ${word(cell)}, without selecting it`,
        },
        () => events.look(cell),
        signal,
      ),
    );
    for (const [k, node] of buttons.entries())
      node.append(make("span", {}, numberOf(cellValues!, cells[k]!)));
    roving.keep(() => list.replaceChildren(...buttons));
  };
  const show = () => {
    const { cellValues, whole, ranking, theme, live } = state!;
    if (!cellValues || !ranking?.order.length) return;
    const count = countFrom(ranking, threshold);
    histogram.update({ cellValues, whole: whole ?? cellValues, ranking, threshold, theme });
    setText(amount, amountOf(count, ranking.noun));
    setText(sign, signOf(ranking));
    if (!least.matches(":focus")) least.value = String(Number(threshold.toPrecision(3)));
    if (!top.matches(":focus")) top.value = String(count);
    top.max = String(ranking.order.length);
    const can = live && count > 0;
    const why = live ? "there are none" : LOST;
    setOff(select, !can, can ? "Select these heads, and nothing else" : `Select: ${why}`);
    setOff(add, !can, can ? "Add these heads to the selection" : `Add: ${why}`);
    showList(count);
  };

  return {
    element,
    update: (now) => {
      state = now;
      const { cellValues, ranking, isScaled, hasMetrics } = now;
      element.hidden = !cellValues && !hasMetrics;
      hint.hidden = cellValues !== null;
      content.hidden = !cellValues;
      if (!cellValues) return;
      const key = JSON.stringify([
        cellValues.label,
        cellValues.recolor,
        cellValues.ln,
        ranking?.order.length,
      ]);
      if (key !== of && ranking?.order.length) {
        of = key;
        threshold = ranking.sizes[startCount(ranking) - 1]!;
      }
      setText(label, cellValues.label);
      setText(ln, lnText(cellValues.ln));
      setText(range, cellValues.range);
      far.hidden = !beyond(cellValues).some(Boolean);
      none.hidden = !cellValues.missing;
      back.hidden = !isScaled;
      const isEmpty = !ranking?.order.length;
      for (const node of [histogram.element, row, list]) node.hidden = isEmpty;
      show();
    },
  };
}

/** What is asked of a value: where the scale has two sides, of its distance from zero. */
function signOf({ twoSided }: Ranking): string {
  return twoSided ? "|value| ≥" : "≥";
}
