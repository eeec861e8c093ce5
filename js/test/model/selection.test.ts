import { describe, expect, it } from "vitest";
import {
  brushed,
  everything,
  groupOf,
  invert,
  only,
  describe as say,
  startBrush,
  switched,
  toggle,
} from "../../src/model/selection";
import { grouped, handledCells } from "../handled";
import { members, on, small } from "../specs";

const cells = small([9]);
const position = (row: number, column: number) => ({ band: 1, row, column });

describe("a selection", () => {
  it("toggles one cell", () => {
    const once = toggle(cells, on(cells, 3), position(1, 3));
    expect(members(cells, once)).toEqual([3, 10]);
    expect(members(cells, toggle(cells, once, position(1, 3)))).toEqual([3]);
  });

  it("completes a row that is partly on, and clears one that is all on", () => {
    const row = toggle(cells, on(cells, 8), position(1, -1));
    expect(members(cells, row)).toEqual([7, 8, 10, 11]);
    expect(members(cells, toggle(cells, row, position(1, -1)))).toEqual([]);
  });

  it("toggles a column and a whole band by their headers", () => {
    expect(members(cells, toggle(cells, on(cells), position(-1, 4)))).toEqual([6, 11]);
    expect(members(cells, toggle(cells, on(cells, 0), position(-1, -1)))).toEqual([
      0, 2, 3, 4, 5, 6, 7, 8, 10, 11,
    ]);
  });

  it("toggles what is behind a handle", () => {
    const mixed = handledCells();
    const once = toggle(mixed, on(mixed, 4), { band: 0, row: 0, column: -2 });
    expect(members(mixed, once)).toEqual([3, 4, 5, 6]);
    expect(members(mixed, toggle(mixed, once, { band: 0, row: 0, column: -2 }))).toEqual([]);
  });

  it("keeps only a cell, or only a row", () => {
    expect(members(cells, only(cells, position(0, 2)))).toEqual([4]);
    expect(members(cells, only(cells, position(1, -1)))).toEqual([7, 8, 10, 11]);
  });

  it("takes the heads of one group together, in a row or in every row, without those that are absent", () => {
    const shared = grouped([14]);
    expect(groupOf(shared, position(0, 5))).toEqual([6, 7, 8]);
    expect(groupOf(shared, position(1, 5))).toEqual([15, 16]);
    expect(groupOf(shared, position(-1, 6))).toEqual([6, 7, 8, 15, 16]);
    expect(groupOf(shared, position(0, 0))).toEqual([]);
    const some = switched(on(shared, 7), groupOf(shared, position(0, 5)));
    expect(members(shared, some)).toEqual([6, 7, 8]);
    expect(members(shared, switched(some, groupOf(shared, position(0, 5))))).toEqual([]);
  });

  it("never holds an absent cell", () => {
    expect(members(cells, everything(cells))).not.toContain(9);
    expect(members(cells, invert(cells, on(cells, 0, 1)))).toEqual([2, 3, 4, 5, 6, 7, 8, 10, 11, 12]);
  });

  it("is described in one sentence", () => {
    expect(say(cells, position(1, 3), position(1, 3), on(cells, 10))).toBe("layer 1 head 2 selected");
    expect(say(cells, position(0, 1), position(0, 3), on(cells))).toBe(
      "layer 0 head 0 to layer 0 head 2 taken out",
    );
  });
});

describe("a drag", () => {
  it("adds when it starts on a cell that is off", () => {
    const brush = { ...startBrush(cells, on(cells, 4), position(0, 1), false), to: position(0, 3) };
    expect(members(cells, brushed(cells, on(cells, 4), brush))).toEqual([3, 4, 5]);
  });

  it("removes when it starts on a cell that is on", () => {
    const before = on(cells, 3, 4, 6);
    const brush = { ...startBrush(cells, before, position(0, 1), false), to: position(1, 3) };
    expect(members(cells, brushed(cells, before, brush))).toEqual([6]);
  });

  it("always removes with Alt", () => {
    const before = on(cells, 4, 6);
    const brush = { ...startBrush(cells, before, position(0, 1), true), to: position(0, 3) };
    expect(members(cells, brushed(cells, before, brush))).toEqual([6]);
  });
});
