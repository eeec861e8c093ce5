import { describe, expect, it } from "vitest";
import { type LegendState, makeLegend, startCount, ticksOf } from "../../src/chrome/legend";
import { readValues } from "../../src/model/cell_values";
import { rankingOf, type ScaleEnds } from "../../src/model/ranking";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small();
/** The heads: 3 to 5 of layer 0, 8 to 10 of layer 1. */
const HEADS = [3, 4, 5, 8, 9, 10];
const valuesOf = (more = {}, values = Array(cells.count).fill(0.5)) =>
  readValues(colors(values, more), cells)!;
/** Values of the heads in their order, and of nothing else. */
const ofHeads = (values: number[], more = {}) => {
  const all = Array(cells.count).fill(Number.NaN);
  HEADS.forEach((n, k) => {
    all[n] = values[k];
  });
  return valuesOf(more, all);
};
const SPREAD = [0.9, -0.95, 0.1, 0.7, -0.2, 0.7];

function legendOf(cellValues: LegendState["cellValues"], more: Partial<LegendState> = {}) {
  const done: unknown[] = [];
  const scaled: (ScaleEnds | null)[] = [];
  const legend = makeLegend(
    {
      scaled: (ends) => scaled.push(ends),
      choose: (chosen, what, add) => done.push([...chosen, what, add]),
      look: (cell) => done.push(cell),
    },
    new AbortController().signal,
  );
  const state = (values: LegendState["cellValues"]): LegendState => ({
    ...{
      cellValues: values,
      whole: values,
      ranking: values && rankingOf(values, cells),
      isScaled: false,
      theme: "light",
    },
    ...{ live: true, hasMetrics: true, word: (cell) => `cell${cell}` },
    ...more,
  });
  const update = (values: LegendState["cellValues"]) => legend.update(state(values));
  update(cellValues);
  document.body.replaceChildren(legend.element);
  const find = <T extends HTMLElement = HTMLElement>(selector: string) =>
    legend.element.querySelector<T>(selector)!;
  const button = (label: string) =>
    [...legend.element.querySelectorAll("button")].find((node) => node.textContent === label)!;
  return {
    ...{ ...legend, done, scaled, update, find, button },
    amount: () => find(".hg-amount-from").textContent,
    threshold: () => find<HTMLInputElement>("[aria-label=Threshold].hg-number-field"),
    top: () => find<HTMLInputElement>(".hg-top-field input"),
    listed: () => [...legend.element.querySelectorAll(".hg-largest code")].map((node) => node.textContent),
    slider: (name: string) => find(`[role=slider][aria-label='${name}']`),
  };
}

const key = (node: Element, name: string, more = {}) =>
  node.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));

describe("the legend", () => {
  it("has the ends of the scale, and zero where the scale has two sides", () => {
    expect(ticksOf(valuesOf())).toEqual(["−1.00", "0", "1.00"]);
    expect(ticksOf(valuesOf({ diverging: false, low: 0 }))).toEqual(["0", "1.00"]);
  });

  it("says the range of the values, and marks the ends that some lie beyond", () => {
    const within = valuesOf({ diverging: false, low: 0, range: "all are 0.50" });
    const legend = legendOf(within);
    const far = legend.find(".hg-beyond");
    expect([far.hidden, legend.element.textContent]).toEqual([true, expect.stringContaining("all are 0.50")]);
    const above = valuesOf({ diverging: false, low: 0, high: 0.25 });
    legend.update(above);
    expect([far.hidden, ...ticksOf(above)]).toEqual([false, "0", "≥ 0.250"]);
    expect(ticksOf(valuesOf({ diverging: false, low: 0.75 }))).toEqual(["≤ 0.750", "1.00"]);
  });

  it("says what is shown and how, and has its place before there are colors", () => {
    const legend = legendOf(null);
    expect([legend.element.hidden, legend.find(".hg-legend-content").hidden]).toEqual([false, true]);
    legend.update(valuesOf({ ln: "raw" }));
    expect([legend.find(".hg-legend-content").hidden, legend.element.textContent]).toEqual([
      false,
      expect.stringContaining("copying score"),
    ]);
    expect(legend.element.textContent).toContain("raw weights");
    expect(legendOf(null, { hasMetrics: false }).element.hidden).toBe(true);
  });

  it("has no histogram where no cell has a value", () => {
    const legend = legendOf(valuesOf());
    expect(legend.find(".hg-histogram").hidden).toBe(false);
    legend.update(valuesOf({}, Array(cells.count).fill(Number.NaN)));
    expect([legend.find(".hg-histogram").hidden, legend.element.textContent]).toEqual([
      true,
      expect.stringContaining("no value"),
    ]);
  });
});

describe("the threshold of the legend", () => {
  it("counts on both sides of zero where the scale has two, and says so", () => {
    const legend = legendOf(ofHeads(SPREAD));
    expect([legend.amount(), legend.top().value]).toEqual(["2 heads", "2"]);
    expect(legend.find(".hg-cut-row label").textContent).toBe("|value| ≥");
    expect(legend.listed()).toEqual(["cell4", "cell3", "cell8", "cell10", "cell9", "cell5"]);
    const oneSided = legendOf(ofHeads(SPREAD, { diverging: false }));
    expect(oneSided.listed()[0]).toBe("cell3");
    expect(oneSided.find(".hg-cut-row label").textContent).toBe("≥");
    expect(oneSided.find(".hg-other").hidden).toBe(true);
  });

  it("is typed, and selects or adds what is at or beyond it in one command", () => {
    const legend = legendOf(ofHeads(SPREAD));
    legend.threshold().value = "0.7";
    legend.threshold().dispatchEvent(new Event("change"));
    // Values have four bytes, in which there is no 0.7: the heads that show it are not to be lost.
    expect(legend.amount()).toBe("4 heads");
    legend.button("Select").click();
    legend.button("Add").click();
    const what = "4 heads with copying score |value| ≥ 0.700";
    expect(legend.done).toEqual([
      [4, 3, 8, 10, what, false],
      [4, 3, 8, 10, what, true],
    ]);
  });

  it("is the top k, and goes from head to head by keys, those of one value together", () => {
    const legend = legendOf(ofHeads(SPREAD));
    legend.top().value = "1";
    legend.top().dispatchEvent(new Event("input"));
    expect(legend.amount()).toBe("1 head");
    const slider = legend.slider("Threshold");
    key(slider, "ArrowLeft");
    expect([legend.amount(), slider.ariaValueText]).toEqual(["2 heads", "0.900: 2 heads"]);
    key(slider, "ArrowLeft");
    expect(legend.amount()).toBe("4 heads");
    key(slider, "ArrowRight");
    expect(legend.amount()).toBe("2 heads");
    key(slider, "Home");
    expect(legend.amount()).toBe("6 heads");
    key(slider, "End");
    expect(legend.amount()).toBe("1 head");
    expect(legend.done).toEqual([]);
  });

  it("goes back to where it began with another metric", () => {
    const legend = legendOf(ofHeads(SPREAD));
    key(legend.slider("Threshold"), "Home");
    legend.update(ofHeads(SPREAD, { label: "OV norm", recolor: 1 }));
    expect(legend.amount()).toBe("2 heads");
    expect(startCount({ order: Array(144).fill(0) } as never)).toBe(10);
  });

  it("selects nothing without a kernel, and says why", () => {
    const legend = legendOf(ofHeads(SPREAD), { live: false });
    legend.button("Select").click();
    expect([legend.done, legend.button("Select").title]).toEqual([[], "Select: there is no kernel"]);
  });

  it("has a list in which a click looks, and selects nothing", () => {
    const legend = legendOf(ofHeads(SPREAD));
    legend.find(".hg-largest button").click();
    expect(legend.done).toEqual([4]);
    const inside = [...legend.element.querySelectorAll(".hg-largest .hg-in")];
    expect(inside).toHaveLength(2);
  });
});

describe("the ends of the scale", () => {
  it("move together where the scale has two sides, so that zero keeps its color", () => {
    const legend = legendOf(ofHeads(SPREAD));
    key(legend.slider("Low end of the colors"), "ArrowRight", { shiftKey: true });
    expect(legend.scaled.at(-1)!.low).toBeCloseTo(-0.8);
    expect(legend.scaled.at(-1)!.high).toBeCloseTo(0.8);
  });

  it("are moved by keys, stay apart, and are reset", () => {
    const legend = legendOf(ofHeads(SPREAD, { diverging: false }));
    key(legend.slider("High end of the colors"), "ArrowLeft", { shiftKey: true });
    expect(legend.scaled.at(-1)!.low).toBe(-1);
    expect(legend.scaled.at(-1)!.high).toBeCloseTo(0.8);
    key(legend.slider("Low end of the colors"), "End");
    const { low, high } = legend.scaled.at(-1)!;
    expect([high, low < high]).toEqual([1, true]);
    key(legend.slider("Low end of the colors"), "Delete");
    expect(legend.scaled.at(-1)).toBeNull();
    legend.slider("High end of the colors").dispatchEvent(new MouseEvent("dblclick"));
    expect(legend.scaled.at(-1)).toBeNull();
  });

  it("say their value aloud", () => {
    const legend = legendOf(ofHeads(SPREAD));
    expect(legend.slider("Low end of the colors").ariaValueText).toBe("−1.00");
  });
});
