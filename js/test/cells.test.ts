import { describe, expect, it } from "vitest";
import { empty } from "../src/bits";
import { block, isAllOn, labelOf, membersOf, nameOf, numberAt, readPlan, spotOf, wordOf } from "../src/cells";
import { on, small } from "./plans";

describe("cells", () => {
  it("are numbered band by band, row by row", () => {
    const cells = small();
    expect(cells.count).toBe(13);
    expect(numberAt(cells, { band: 1, row: 1, column: 2 })).toBe(9);
    expect(numberAt(cells, { band: 2, row: 0, column: 0 })).toBe(12);
  });

  it("know their place by their number and their number by their place", () => {
    const cells = small();
    for (let n = 0; n < cells.count; n++) expect(numberAt(cells, spotOf(cells, n)!)).toBe(n);
    expect(spotOf(cells, -1)).toBeNull();
    expect(spotOf(cells, 13)).toBeNull();
  });

  it("have no number where they are absent", () => {
    const cells = small([9]);
    expect(numberAt(cells, { band: 1, row: 1, column: 2 })).toBe(-1);
    expect(membersOf(cells, { band: 1, row: 1, column: -1 })).toEqual([7, 8, 10, 11]);
  });

  it("say their words and names", () => {
    const cells = small();
    expect(wordOf(cells, { band: 1, row: 1, column: 3 })).toBe("l1h2");
    expect(wordOf(cells, { band: 1, row: 0, column: 4 })).toBe("l0 mlp");
    expect(wordOf(cells, { band: 0, row: 0, column: 1 })).toBe("pos");
    expect(nameOf(cells, { band: 1, row: 1, column: 3 })).toBe("layer 1 head 2");
  });

  it("are labelled with their state", () => {
    const cells = small();
    const spot = { band: 1, row: 1, column: 3 };
    expect(labelOf(cells, spot, on(cells, 10), empty(13))).toBe("layer 1 head 2, selected");
    expect(labelOf(cells, spot, empty(13), on(cells, 10))).toBe("layer 1 head 2, partly selected");
    expect(labelOf(cells, spot, empty(13), empty(13), "copying score 0.98")).toBe(
      "layer 1 head 2, copying score 0.98",
    );
    expect(labelOf(cells, { ...spot, column: -1 }, on(cells, 10), empty(13))).toBe(
      "layer 1, 1 of 5 selected",
    );
  });

  it("form a block between any two corners of one band, and none across bands", () => {
    const cells = small();
    const a = { band: 1, row: 0, column: 3 };
    expect(block(cells, a, { band: 1, row: 1, column: 2 })).toEqual([4, 5, 9, 10]);
    expect(block(cells, a, { band: 2, row: 0, column: 0 })).toEqual([]);
  });

  it("make a header on only when all of its present cells are", () => {
    const cells = small([9]);
    expect(isAllOn(cells, on(cells, 4), { band: 1, row: -1, column: 2 })).toBe(true);
    expect(isAllOn(cells, on(cells, 5), { band: 1, row: -1, column: 3 })).toBe(false);
  });

  it("are none before the plan has come", () => {
    expect(readPlan({}).count).toBe(0);
  });
});
