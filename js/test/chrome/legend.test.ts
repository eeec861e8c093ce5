import { describe, expect, it } from "vitest";
import { makeLegend, ticksOf } from "../../src/chrome/legend";
import { readValues } from "../../src/model/cell_values";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small();
const valuesOf = (more = {}) => readValues(colors(Array(cells.count).fill(0.5), more), cells)!;

describe("the legend", () => {
  it("has the ends of the scale, and zero where the scale has two sides", () => {
    expect(ticksOf(valuesOf())).toEqual(["−1.00", "0", "1.00"]);
    expect(ticksOf(valuesOf({ diverging: false, low: 0 }))).toEqual(["0", "1.00"]);
  });

  it("says the range of the values, and marks the ends that some lie beyond", () => {
    const { element, update } = makeLegend();
    const far = element.querySelector<HTMLElement>(".hg-beyond")!;
    const within = valuesOf({ diverging: false, low: 0, range: "all are 0.50" });
    update(within, "light");
    expect([far.hidden, element.textContent]).toEqual([true, expect.stringContaining("all are 0.50")]);
    const above = valuesOf({ diverging: false, low: 0, high: 0.25 });
    update(above, "light");
    expect([far.hidden, ...ticksOf(above)]).toEqual([false, "0", "≥ 0.250"]);
    expect(ticksOf(valuesOf({ diverging: false, low: 0.75 }))).toEqual(["≤ 0.750", "1.00"]);
  });

  it("says what is shown and how, and is hidden without colors", () => {
    const { element, update } = makeLegend();
    expect(element.hidden).toBe(true);
    update(valuesOf({ ln: "raw" }), "light");
    expect([element.hidden, element.textContent]).toEqual([false, expect.stringContaining("copying score")]);
    expect(element.textContent).toContain("raw weights");
    update(null, "light");
    expect(element.hidden).toBe(true);
  });

  it("has no scale where no cell has a value", () => {
    const { element, update } = makeLegend();
    const ramp = element.querySelector<HTMLElement>(".hg-ramp")!;
    update(valuesOf(), "light");
    expect(ramp.hidden).toBe(false);
    update(readValues(colors(Array(cells.count).fill(Number.NaN)), cells), "light");
    expect([ramp.hidden, element.textContent]).toEqual([true, expect.stringContaining("no value")]);
  });
});
