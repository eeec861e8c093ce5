import { describe, expect, it } from "vitest";
import { readShades, saidOf } from "../../src/model/values";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small([9]);
const values = Array.from({ length: cells.count }, (_, n) => (n === 9 ? Number.NaN : n / 10));

describe("the colors of the cells", () => {
  it("are one number for each cell, wherever the bytes begin", () => {
    const shades = readShades(colors(values), cells)!;
    expect(shades.values[4]).toBeCloseTo(0.4);
    expect(saidOf(shades, 4)).toBe("copying score 0.400");
  });

  it("tell a missing value from an absent cell", () => {
    expect(readShades(colors(values), cells)!.missing).toBe(false);
    const gap = values.with(3, Number.NaN);
    const shades = readShades(colors(gap), cells)!;
    expect(shades.missing).toBe(true);
    expect([saidOf(shades, 3), saidOf(shades, -1), saidOf(null, 3)]).toEqual([
      "copying score: no value",
      "",
      "",
    ]);
  });

  it("are none without a label, without bytes, or with too few of them", () => {
    expect(readShades(null, cells)).toBeNull();
    expect(readShades(colors(values, { label: "" }), cells)).toBeNull();
    expect(readShades(colors(values.slice(1)), cells)).toBeNull();
  });
});
