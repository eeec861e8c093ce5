import { describe, expect, it } from "vitest";
import { layOut } from "../../src/grid/geometry";
import { actionOf, KEYS } from "../../src/grid/keyboard";
import type { Position } from "../../src/model/cells";
import { grouped, handledCells } from "../handled";
import { measure, small } from "../specs";

const cells = small([9]);
const geometry = layOut(cells, 30, measure);
const press = (at: Position, key: string, keys: { shift?: boolean; control?: boolean; alt?: boolean } = {}) =>
  actionOf(
    { cells, geometry, at, origin: at, page: 5 },
    { key, shift: false, control: false, alt: false, ...keys },
  );
const at = (row: number, column: number, band = 1): Position => ({ band, row, column });
const goesTo = (from: Position, key: string, keys = {}) => {
  const action = press(from, key, keys);
  return action?.do === "move" ? action.to : null;
};

describe("the keys of the grid", () => {
  it("move to neighbors", () => {
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

  it("come back to their column after a band that has it not", () => {
    const key = { key: "ArrowUp", shift: false, control: false, alt: false };
    const back = actionOf({ cells, geometry, at: at(0, 0, 2), origin: at(1, 4), page: 5 }, key);
    expect(back).toEqual({ do: "move", to: at(1, 4), extend: false });
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

  it("undo and redo, with Ctrl only", () => {
    const control = { control: true };
    expect(press(at(0, 1), "z", control)).toEqual({ do: "undo" });
    expect(press(at(0, 1), "Z", { ...control, shift: true })).toEqual({ do: "redo" });
    expect(press(at(0, 1), "y", control)).toEqual({ do: "redo" });
    expect(press(at(0, 1), "z")).toBeNull();
    expect(press(at(0, 1), "y")).toBeNull();
  });

  it("zoom, and leave the browser its own zoom", () => {
    expect(press(at(0, 1), "+", { shift: true })).toEqual({ do: "zoom", by: 1 });
    expect(press(at(0, 1), "-")).toEqual({ do: "zoom", by: -1 });
    expect(press(at(0, 1), "0")).toEqual({ do: "zoom", by: 0 });
    for (const key of ["+", "-", "0"]) expect(press(at(0, 1), key, { control: true })).toBeNull();
  });

  it("take a cell alone, or its group", () => {
    expect(press(at(0, 1), "o")).toEqual({ do: "only" });
    expect(press(at(0, 1), "G")).toEqual({ do: "group" });
  });

  it("leave other keys alone", () => {
    for (const key of ["d", "Tab", "F5", "toString"]) expect(press(at(0, 1), key)).toBeNull();
    expect(press(at(0, 1), "i", { control: true })).toBeNull();
    expect(press(at(0, 1), "ArrowLeft", { alt: true })).toBeNull();
  });
});

describe("the arrows", () => {
  const go = (cells: typeof mixed, from: Position, key: string) => {
    const keys = { key, shift: false, control: false, alt: false };
    const action = actionOf(
      { cells, geometry: layOut(cells, 30, measure), at: from, origin: from, page: 5 },
      keys,
    );
    return action?.do === "move" ? action.to : null;
  };
  const mixed = handledCells();
  const shared = grouped();

  it("reach a handle between the columns on either side", () => {
    expect(go(mixed, at(1, 2, 0), "ArrowRight")).toEqual(at(1, -2, 0));
    expect(go(mixed, at(1, -2, 0), "ArrowRight")).toEqual(at(1, 3, 0));
    expect(go(mixed, at(1, 3, 0), "ArrowLeft")).toEqual(at(1, -2, 0));
    expect(go(mixed, at(1, -2, 0), "ArrowUp")).toEqual(at(0, -2, 0));
    expect(go(mixed, at(0, -2, 0), "ArrowUp")).toEqual(at(-1, -2, 0));
    expect(go(mixed, at(0, 0, 0), "ArrowLeft")).toEqual(at(0, -1, 0));
  });

  it("reach the brackets above the headers, go from one to the next, and come back to the first head", () => {
    expect(go(shared, at(-1, 6), "ArrowUp")).toEqual(at(-2, 4));
    expect(go(shared, at(-2, 4), "ArrowLeft")).toEqual(at(-2, 1));
    expect(go(shared, at(-2, 4), "ArrowDown")).toEqual(at(-1, 4));
    expect(go(shared, at(-1, 0), "ArrowUp")?.band).toBe(0);
    expect(go(shared, at(-2, 4), "ArrowRight")).toEqual(at(-2, 4));
  });
});

describe("the help", () => {
  it("lists every key of the grid in some group", () => {
    const listed = KEYS.flatMap(([, rows]) => rows.map(([keys]) => keys)).join(" ");
    for (const key of ["Space", "Enter", "O", "G", "A", "I", "Escape", "/", "?", "+", "-", "0", "Ctrl Z"])
      expect(listed.split(/,? /).concat(listed.includes("Ctrl Z") ? "Ctrl Z" : "")).toContain(key);
  });
});
