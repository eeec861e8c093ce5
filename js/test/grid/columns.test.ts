import { describe, expect, it } from "vitest";
import { blocksOf, columnsOf, groupsOf, labelStride } from "../../src/grid/columns";
import { layOut } from "../../src/grid/geometry";
import { readSpec } from "../../src/model/cells";
import { handled } from "../handled";
import { measure, mixture, small, specOf } from "../specs";

const wide = readSpec(specOf(12, 40, 4));

describe("the columns", () => {
  it("sets groups of heads apart, and only where heads share", () => {
    expect(groupsOf(wide.bands[1]!).slice(0, 2)).toEqual([
      [1, 4],
      [5, 8],
    ]);
    expect(groupsOf(small().bands[1]!)).toEqual([]);
    const { lefts, widths } = layOut(wide, 20, measure).bands[1]!;
    const gap = (c: number) => lefts[c + 1]! - lefts[c]! - widths[c]!;
    expect(gap(4)).toBeGreaterThan(gap(3));
  });

  it("labels fewer columns where the labels would touch", () => {
    expect(labelStride(wide.bands[1]!, "head", 30, measure)).toBe(1);
    expect(labelStride(wide.bands[1]!, "head", 8, measure)).toBe(4);
  });

  it("give the experts a stride of their own", () => {
    const band = mixture(2, 128);
    expect(labelStride(band, "head", 12, measure)).toBe(1);
    expect(labelStride(band, "expert", 12, measure)).toBe(2);
  });

  it("name heads and experts where there are experts, and nothing where numbers can only mean heads", () => {
    expect(blocksOf(mixture())).toEqual([
      { title: "heads", first: 0, last: 1 },
      { title: "experts", first: 3, last: 5 },
    ]);
    expect(blocksOf(mixture(0, 3)).map(({ title }) => title)).toEqual(["experts"]);
    expect(blocksOf(wide.bands[1]!)).toEqual([]);
  });

  it("make experts as small as heads, and set them clearly apart", () => {
    const { lefts, widths } = columnsOf(mixture(), 7, 20, measure);
    const gap = (c: number) => lefts[c + 1]! - lefts[c]! - widths[c]!;
    expect([widths[0], widths[3]]).toEqual([7, 7]);
    expect(gap(2)).toBeGreaterThan(2 * gap(1));
    expect(gap(3)).toBe(gap(0));
  });

  it("make room for a handle in front of the column it names, with room around it to be reached", () => {
    for (const cell of [2, 7, 20, 34]) {
      const box = columnsOf(handled(), cell, 20, measure);
      const [end, start] = [box.lefts[2]! + box.widths[2]!, box.lefts[3]!];
      expect(box.handleLefts[0]!).toBeGreaterThan(end);
      expect(box.handleLefts[0]! + box.handleWidth).toBeLessThan(start);
      expect(box.reach.map(({ column }) => column)).toEqual([0, 1, 2, -2, 3, 4, 5, 6]);
      expect(box.reach[3]!.from).toBe(end);
      expect(box.reach[4]!.from).toBe(start);
    }
    expect(columnsOf(handled(), 34, 20, measure).handleWidth).toBeGreaterThanOrEqual(8);
  });

  it("keep every two kinds of columns apart, however small they are", () => {
    const { lefts, widths } = columnsOf(mixture(), 2, 20, measure);
    expect(lefts[1]! - lefts[0]! - widths[0]!).toBe(0);
    expect(lefts[2]! - lefts[1]! - widths[1]!).toBeGreaterThan(0);
  });
});
