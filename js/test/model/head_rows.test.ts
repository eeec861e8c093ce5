import { describe, expect, it } from "vitest";
import { orderedRows, readHeadRows, spanOf, valueAt } from "../../src/model/head_rows";
import { headsTable } from "../fixtures";
import { on, small } from "../specs";

const cells = small();
const table = headsTable([3, 4, 8], ["copying score", "norm"], [0.5, 3, -0.25, Number.NaN, 0.75, 1]);
const rows = readHeadRows(table, on(cells, 3, 4, 8), "folded")!;

describe("the rows of the selected heads", () => {
  it("have a value for each metric, and none where Python has none", () => {
    expect([valueAt(rows, 0, 1), valueAt(rows, 1, 0), valueAt(rows, 1, 1)]).toEqual([3, -0.25, Number.NaN]);
    expect(rows.pending).toBe(false);
  });

  it("lose a head that was deselected since, and are known to be old then", () => {
    const fewer = readHeadRows(table, on(cells, 3, 8), "folded")!;
    expect([fewer.cells, valueAt(fewer, 1, 0), fewer.pending]).toEqual([[3, 8], 0.75, true]);
    expect(readHeadRows(table, on(cells, 5), "folded")).toBeNull();
    expect(readHeadRows(table, on(cells, 3, 4, 8), "raw")!.pending).toBe(true);
    expect(readHeadRows(undefined, on(cells, 3), "raw")).toBeNull();
  });

  it("stand in the order of a column, those without a value last in either direction", () => {
    expect(orderedRows(rows, { column: 0, descending: true })).toEqual([2, 0, 1]);
    expect(orderedRows(rows, { column: 0, descending: false })).toEqual([1, 0, 2]);
    expect(orderedRows(rows, { column: 1, descending: true })).toEqual([0, 2, 1]);
    expect(orderedRows(rows, { column: 1, descending: false })).toEqual([2, 0, 1]);
    expect(orderedRows(rows, { column: -1, descending: true })).toEqual([2, 1, 0]);
  });

  it("have bars from zero, in a width that holds all values of the column", () => {
    expect(spanOf(rows, 0)).toEqual({ low: -0.25, span: 1 });
    expect(spanOf(rows, 1)).toEqual({ low: 0, span: 3 });
  });
});
