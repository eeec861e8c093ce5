import { describe, expect, it } from "vitest";
import { empty } from "../../src/model/bits";
import { fullnessOf } from "../../src/model/fullness";
import { handledCells } from "../handled";
import { on, small } from "../specs";

describe("the fullness of a band", () => {
  it("tells nothing, some and all apart, in rows, columns and as a whole", () => {
    const cells = small();
    const [ends, layers, last] = fullnessOf(cells, on(cells, 0, 1, 2, 3, 4, 5, 6, 9));
    expect(ends!.all).toBe(2);
    expect(layers!.rows).toEqual([2, 1]);
    expect(layers!.columns).toEqual([1, 1, 2, 1, 1]);
    expect([layers!.all, last!.all]).toEqual([1, 0]);
  });

  it("asks only for cells that are there", () => {
    const cells = small([4, 9]);
    const layers = fullnessOf(cells, on(cells, 2, 3, 5, 6))[1]!;
    expect(layers.rows).toEqual([2, 0]);
    expect(layers.columns[2]).toBe(-1);
  });

  it("counts behind every handle, row by row", () => {
    const cells = handledCells();
    const [band] = fullnessOf(cells, on(cells, 3, 4, 5, 6, 7, 12));
    expect(band!.handles).toEqual([[2, 1]]);
    expect(band!.handleHeaders).toEqual([1]);
  });

  it("is counted once for a set, and again for the cells of another stack", () => {
    const [cells, other] = [small(), small([2])];
    const set = empty(13);
    expect(fullnessOf(cells, set)).toBe(fullnessOf(cells, set));
    expect(fullnessOf(other, set)).not.toBe(fullnessOf(cells, set));
  });
});
