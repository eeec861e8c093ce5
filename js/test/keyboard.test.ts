import { describe, expect, it } from "vitest";
import type { Spot } from "../src/cells";
import { layOut } from "../src/geometry";
import { actionOf } from "../src/keyboard";
import { measure, small } from "./plans";

const cells = small([9]);
const geometry = layOut(cells, 30, measure);
const press = (at: Spot, key: string, keys: { shift?: boolean; control?: boolean; alt?: boolean } = {}) =>
  actionOf(cells, geometry, at, { key, shift: false, control: false, alt: false, ...keys }, 5);
const at = (row: number, column: number, band = 1): Spot => ({ band, row, column });
const goesTo = (from: Spot, key: string, keys = {}) => {
  const action = press(from, key, keys);
  return action?.do === "move" ? action.to : null;
};

describe("the keys of the grid", () => {
  it("move to neighbours", () => {
    expect(goesTo(at(0, 1), "ArrowRight")).toEqual(at(0, 2));
    expect(goesTo(at(0, 1), "ArrowDown")).toEqual(at(1, 1));
  });

  it("step over an absent cell", () => {
    expect(goesTo(at(1, 1), "ArrowRight")).toEqual(at(1, 3));
  });

  it("reach the headers at the left and above, and the corner from there", () => {
    expect(goesTo(at(1, 0), "ArrowLeft")).toEqual(at(1, -1));
    expect(goesTo(at(0, 2), "ArrowUp")).toEqual(at(-1, 2));
    expect(goesTo(at(-1, 0), "ArrowLeft")).toEqual(at(-1, -1));
  });

  it("cross into a band of another width at the nearest column", () => {
    expect(goesTo(at(1, 4), "ArrowDown")).toEqual(at(0, 0, 2));
    expect(goesTo(at(-1, 4), "ArrowUp")).toEqual(at(0, 1, 0));
    expect(goesTo(at(0, 0, 0), "ArrowDown")).toEqual(at(-1, 1));
  });

  it("stay at the edge of the grid", () => {
    expect(goesTo(at(0, 0, 0), "ArrowUp")).toEqual(at(0, 0, 0));
    expect(goesTo(at(0, 4), "ArrowRight")).toEqual(at(0, 4));
  });

  it("go to the ends of a row, and with Ctrl of the grid", () => {
    expect(goesTo(at(1, 3), "Home")).toEqual(at(1, 0));
    expect(goesTo(at(1, 3), "End")).toEqual(at(1, 4));
    expect(goesTo(at(1, 3), "Home", { control: true })).toEqual(at(0, 0, 0));
    expect(goesTo(at(1, 3), "End", { control: true })).toEqual(at(0, 0, 2));
  });

  it("extend with Shift", () => {
    expect(press(at(0, 1), "ArrowRight", { shift: true })).toEqual({
      do: "move",
      to: at(0, 2),
      extend: true,
    });
  });

  it("edit", () => {
    expect(press(at(0, 1), " ")).toEqual({ do: "toggle" });
    expect(press(at(0, 1), "Enter")).toEqual({ do: "toggle" });
    expect(press(at(0, 1), "a", { control: true })).toEqual({ do: "all" });
    expect(press(at(0, 1), "i")).toEqual({ do: "invert" });
  });

  it("leave other keys alone", () => {
    for (const key of ["d", "Tab", "F5"]) expect(press(at(0, 1), key)).toBeNull();
    expect(press(at(0, 1), "i", { control: true })).toBeNull();
    expect(press(at(0, 1), "ArrowLeft", { alt: true })).toBeNull();
  });
});
