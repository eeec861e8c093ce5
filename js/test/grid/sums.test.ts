import { describe, expect, it } from "vitest";
import { meanText, sumsOf } from "../../src/grid/sums";
import { readValues } from "../../src/model/cell_values";
import { colors } from "../fixtures";
import { on, small } from "../specs";

const cells = small();
const NONE = Number.NaN;
/** Of ln1, three heads and the MLP of two layers. */
const values = readValues(colors([NONE, NONE, 9, 0.2, -0.4, NONE, 9, 9, 0.6, 0.1, 0.3, 9, NONE]), cells)!;

describe("the sums at the edges", () => {
  it("are how many heads are selected, while nothing is colored", () => {
    expect(sumsOf(cells, 1, on(cells, 3, 4, 6, 8), null)).toEqual({
      rows: [2, 1],
      columns: [NONE, 2, 1, 0, NONE],
    });
  });

  it("are the means of the heads that have a value", () => {
    const { rows, columns } = sumsOf(cells, 1, on(cells), values);
    expect(rows[0]).toBeCloseTo(-0.1);
    expect(rows[1]).toBeCloseTo(1 / 3);
    expect(columns[1]).toBeCloseTo(0.4);
    expect(columns[3]).toBeCloseTo(0.3);
  });

  it("are said of a header", () => {
    expect(meanText(cells, { band: 1, row: -1, column: 1 }, values)).toBe("mean copying score 0.400");
    expect(meanText(cells, { band: 1, row: -1, column: 1 }, null)).toBe("");
  });
});
