import { describe, expect, it } from "vitest";
import { brushed, everything, extend, invert, describe as say, startBrush, toggle } from "../src/selection";
import { members, on, small } from "./plans";

const cells = small([9]);
const spot = (row: number, column: number) => ({ band: 1, row, column });

describe("a selection", () => {
  it("toggles one cell", () => {
    const once = toggle(cells, on(cells, 3), spot(1, 3));
    expect(members(cells, once)).toEqual([3, 10]);
    expect(members(cells, toggle(cells, once, spot(1, 3)))).toEqual([3]);
  });

  it("completes a row that is partly on, and clears one that is all on", () => {
    const row = toggle(cells, on(cells, 8), spot(1, -1));
    expect(members(cells, row)).toEqual([7, 8, 10, 11]);
    expect(members(cells, toggle(cells, row, spot(1, -1)))).toEqual([]);
  });

  it("toggles a column and a whole band by their headers", () => {
    expect(members(cells, toggle(cells, on(cells), spot(-1, 4)))).toEqual([6, 11]);
    expect(members(cells, toggle(cells, on(cells, 0), spot(-1, -1)))).toEqual([
      0, 2, 3, 4, 5, 6, 7, 8, 10, 11,
    ]);
  });

  it("extends from an anchor, and takes a single cell in another band", () => {
    expect(members(cells, extend(cells, on(cells, 0), spot(0, 1), spot(1, 2)))).toEqual([0, 3, 4, 8]);
    expect(members(cells, extend(cells, on(cells), spot(0, 1), { band: 2, row: 0, column: 0 }))).toEqual([
      12,
    ]);
  });

  it("never holds an absent cell", () => {
    expect(members(cells, everything(cells))).not.toContain(9);
    expect(members(cells, invert(cells, on(cells, 0, 1)))).toEqual([2, 3, 4, 5, 6, 7, 8, 10, 11, 12]);
  });

  it("is described in one sentence", () => {
    expect(say(cells, spot(1, 3), spot(1, 3), on(cells, 10))).toBe("layer 1 head 2 selected");
    expect(say(cells, spot(0, 1), spot(0, 3), on(cells))).toBe("layer 0 head 0 to layer 0 head 2 taken out");
  });
});

describe("a drag", () => {
  it("adds when it starts on a cell that is off", () => {
    const brush = { ...startBrush(cells, on(cells, 4), spot(0, 1), false), to: spot(0, 3) };
    expect(members(cells, brushed(cells, on(cells, 4), brush))).toEqual([3, 4, 5]);
  });

  it("removes when it starts on a cell that is on", () => {
    const before = on(cells, 3, 4, 6);
    const brush = { ...startBrush(cells, before, spot(0, 1), false), to: spot(1, 3) };
    expect(members(cells, brushed(cells, before, brush))).toEqual([6]);
  });

  it("always removes with Alt", () => {
    const before = on(cells, 4, 6);
    const brush = { ...startBrush(cells, before, spot(0, 1), true), to: spot(0, 3) };
    expect(members(cells, brushed(cells, before, brush))).toEqual([6]);
  });
});
