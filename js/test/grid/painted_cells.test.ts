import { describe, expect, it } from "vitest";
import { layOut } from "../../src/grid/geometry";
import { changedCells, uncovered } from "../../src/grid/painted_cells";
import { empty } from "../../src/model/bits";
import { measure, members, on, small } from "../specs";

const cells = small();
const scene = {
  ...{ cells, geometry: layOut(cells, 20, measure), cellValues: null, marks: [], arrows: [] },
  ...{ on: on(cells, 3), partial: empty(13), palette: {} as never, ratio: 1, width: 300, height: 200 },
  ...{ cursor: null, focused: false, hover: null, scroll: { x: 0, y: 0 }, path: () => ({}) as never },
};

describe("the cache of painted cells", () => {
  it("is painted again where a cell changed, and nowhere else", () => {
    const now = { ...scene, on: on(cells, 4), partial: on(cells, 9) };
    expect(members(cells, changedCells(scene, now)!)).toEqual([3, 4, 9]);
    expect(members(cells, changedCells(scene, { ...scene, hover: { band: 1, row: 0, column: 0 } })!)).toEqual(
      [],
    );
  });

  it("starts anew with another size, palette or color", () => {
    expect(changedCells(null, scene)).toBeNull();
    expect(changedCells(scene, { ...scene, ratio: 2 })).toBeNull();
    expect(changedCells(scene, { ...scene, palette: {} as never })).toBeNull();
    expect(changedCells(scene, { ...scene, marks: [] })).toBeNull();
  });

  it("is painted where scrolling uncovers it", () => {
    const at = (x: number, y: number) => uncovered({ x: 50, y: 60 }, { x, y }, scene);
    expect(at(50, 60)).toEqual([]);
    expect(at(50, 75)).toEqual([{ x: 50, y: 260, width: 300, height: 15 }]);
    expect(at(40, 60)).toEqual([{ x: 40, y: 60, width: 10, height: 200 }]);
    expect(at(58, 55)).toEqual([
      { x: 350, y: 55, width: 8, height: 200 },
      { x: 58, y: 55, width: 300, height: 5 },
    ]);
    expect(at(50, 900)).toEqual([{ x: 50, y: 900, width: 300, height: 200 }]);
  });
});
