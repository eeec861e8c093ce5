import { describe, expect, it } from "vitest";
import { AriaGrid, type AriaGridState, slide } from "../../src/grid/aria_grid";
import { layOut } from "../../src/grid/geometry";
import { empty } from "../../src/model/bits";
import { type Cells, type Position, readSpec } from "../../src/model/cells";
import { grouped, handledCells } from "../handled";
import { measure, on, specOf } from "../specs";

describe("the window of accessible cells", () => {
  it("holds a small grid as a whole", () => {
    for (const at of [0, 3, 6]) expect(slide(0, at, 18, 7)).toBe(0);
  });

  it("stays while the cursor is well inside, and follows it at the edge", () => {
    expect(slide(10, 20, 18, 126)).toBe(10);
    expect(slide(10, 27, 18, 126)).toBe(18);
    expect(slide(110, 125, 18, 126)).toBe(108);
  });
});

const stateOf = (cells: Cells, cursor: Position, more: Partial<AriaGridState> = {}): AriaGridState => ({
  ...{ cells, cursor, geometry: layOut(cells, 20, measure), cellValues: null },
  ...{ on: empty(cells.count), partial: empty(cells.count), scroll: { x: 0, y: 0 } },
  ...more,
});
const layerOf = (state: AriaGridState) => {
  const grid = document.createElement("div");
  const layer = new AriaGrid(grid, "x", "detail");
  layer.update(state);
  const labels = (role: string) =>
    [...grid.querySelectorAll<HTMLElement>(`[role=${role}]`)].map((node) => node.getAttribute("aria-label"));
  const active = () =>
    grid.querySelector<HTMLElement>(`[id="${grid.getAttribute("aria-activedescendant")}"]`);
  return { grid, layer, labels, active };
};
const at = (band: number, row: number, column: number): Position => ({ band, row, column });

describe("the accessible grid", () => {
  it("describes the cursor's cell, and no other, by what else there is to say of it", () => {
    const cells = handledCells();
    const { grid, active, layer } = layerOf(stateOf(cells, at(0, 1, 0)));
    const described = () => [...grid.querySelectorAll("[aria-describedby=detail]")];
    expect(described()).toEqual([active()]);
    layer.update(stateOf(cells, at(0, 0, 1)));
    expect(described()).toEqual([active()]);
  });

  it("has handles as headers of a part of their row, in the order of the columns", () => {
    const { grid, labels, active, layer } = layerOf(stateOf(handledCells(), at(0, 1, -2)));
    expect(labels("rowheader")).toContain("layer 1 MLP, 0 of 4 selected");
    expect(labels("columnheader")).toContain("MLP, every row, 0 of 8 selected");
    const locations = [...grid.querySelectorAll('[aria-rowindex="3"] > *')].map((node) =>
      Number(node.getAttribute("aria-colindex")),
    );
    expect(locations).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(active()?.getAttribute("aria-label")).toBe("layer 1 MLP, 0 of 4 selected");
    expect(layer.positionOf(active()!)).toEqual(at(0, 1, -2));
  });

  it("has a bracket as a header of all the columns that it spans", () => {
    const { grid, labels } = layerOf(stateOf(grouped(), at(1, 0, 2)));
    expect(labels("columnheader")).toContain("group 1, heads 3 to 5, every row, 0 of 6 selected");
    const spans = [...grid.querySelectorAll("[aria-colspan]")].map((node) => [
      node.getAttribute("aria-colindex"),
      node.getAttribute("aria-colspan"),
    ]);
    expect(spans).toEqual([
      ["3", "3"],
      ["6", "3"],
    ]);
  });

  it("says what changed, and keeps the elements", () => {
    const cells = grouped();
    const state = stateOf(cells, at(1, 0, 2));
    const { grid, layer, active } = layerOf(state);
    const before = active();
    layer.update({ ...state, on: on(cells, 4) });
    expect(active()).toBe(before);
    expect(active()?.getAttribute("aria-label")).toBe("layer 0 head 1, selected, group 0, 3 heads");
    expect(grid.querySelectorAll("[aria-selected=true]").length).toBe(1);
  });

  it("moves only the headers when the grid scrolls", () => {
    const cells = grouped();
    const state = stateOf(cells, at(1, 0, 2));
    const { layer, active, grid } = layerOf(state);
    const header = grid.querySelector<HTMLElement>("[role=rowheader]")!;
    const [cell, left] = [active()!.style.cssText, header.style.left];
    layer.update({ ...state, scroll: { x: 15, y: 0 } });
    expect(active()!.style.cssText).toBe(cell);
    expect(Number.parseFloat(header.style.left)).toBe(Number.parseFloat(left) + 15);
  });

  it("holds the cells around the cursor of a huge model, and tells how large all of it is", () => {
    const cells = readSpec(specOf(126, 128));
    const { grid, active } = layerOf(stateOf(cells, at(1, 100, 77)));
    expect(active()?.getAttribute("aria-label")).toBe("layer 100 head 76");
    expect(grid.querySelectorAll("*").length).toBeLessThan(600);
    expect(["aria-rowcount", "aria-colcount"].map((name) => grid.getAttribute(name))).toEqual(["129", "131"]);
  });
});
