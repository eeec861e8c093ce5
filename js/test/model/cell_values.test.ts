import { describe, expect, it } from "vitest";
import { readValues, valueText } from "../../src/model/cell_values";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small([9]);
const values = Array.from({ length: cells.count }, (_, n) => (n === 9 ? Number.NaN : n / 10));

describe("the colors of the cells", () => {
  it("are one number for each cell, wherever the bytes begin", () => {
    const cellValues = readValues(colors(values), cells)!;
    expect(cellValues.values[4]).toBeCloseTo(0.4);
    expect(valueText(cellValues, 4)).toBe("copying score 0.400");
  });

  it("tell a missing value from an absent cell", () => {
    expect(readValues(colors(values), cells)!.missing).toBe(false);
    const gap = values.with(3, Number.NaN);
    const cellValues = readValues(colors(gap), cells)!;
    expect(cellValues.missing).toBe(true);
    expect([valueText(cellValues, 3), valueText(cellValues, -1), valueText(null, 3)]).toEqual([
      "copying score: no value",
      "",
      "",
    ]);
  });

  it("are none without a label, without bytes, or with too few of them", () => {
    expect(readValues(null, cells)).toBeNull();
    expect(readValues(colors(values, { label: "" }), cells)).toBeNull();
    expect(readValues(colors(values.slice(1)), cells)).toBeNull();
  });
});
