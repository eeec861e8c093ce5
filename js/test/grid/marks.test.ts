import { describe, expect, it } from "vitest";
import { toWire } from "../../dev/bytes";
import { SvgPath } from "../../src/export/svg";
import { layOut } from "../../src/grid/geometry";
import { barsOf, keepMarks, marksAt, marksOf, paintMarks } from "../../src/grid/marks";
import { empty } from "../../src/model/bits";
import type { SavedSelection } from "../../src/model/wire";
import { measure, on, small } from "../specs";

const cells = small();
const saved = (name: string, ...members: number[]): SavedSelection => ({
  ...{ name, text: "", counts: "", color: `#${name}` },
  cells: toWire(members.length ? on(cells, ...members) : empty(cells.count)),
});

describe("the marks of saved selections", () => {
  it("are those that are shown, in the order of saving", () => {
    const marks = marksOf([saved("aaa", 3), saved("bbb"), saved("ccc", 3, 4)], ["ccc", "aaa", "gone"], 13);
    expect(marks.map(({ color }) => color)).toEqual(["#aaa", "#ccc"]);
    expect([marksAt(marks, 3), marksAt(marks, 4), marksAt(marks, 5)]).toEqual([[0, 1], [1], []]);
  });

  it("are the same ones until they change, so that no cell is painted again", () => {
    const marks = keepMarks();
    const all = [saved("aaa", 3), saved("bbb", 4)];
    expect(marks(all, [], 13)).toEqual([]);
    const first = marks(all, ["aaa"], 13);
    expect(marks(all, ["aaa"], 13)).toBe(first);
    const other = marks(
      all.map((item) => ({ ...item, color: "#0072b2" })),
      ["aaa"],
      13,
    );
    expect(other.map(({ color }) => color)).toEqual(["#0072b2"]);
  });

  it("leave out none that is shown", () => {
    const many = Array.from({ length: 11 }, (_, k) => saved(`${k}`, 3));
    const names = many.map(({ name }) => name);
    expect(marksOf(many, names, 13).length).toBe(11);
  });

  it("keep their colors where the system chooses all others, with a rim that can be seen", () => {
    const shown = { ...saved("aaa", 3), color: "#d55e00" };
    const painted: string[] = [];
    const context = {
      fillStyle: "",
      strokeStyle: "",
      fill: () => painted.push(`fill ${context.fillStyle}`),
      stroke: () => painted.push(`rim ${context.strokeStyle}`),
    };
    const geometry = layOut(cells, 20, measure);
    const scene = {
      ...{ cells, geometry, marks: marksOf([shown], ["aaa"], 13), scroll: { x: 0, y: 0 }, ratio: 1 },
      ...{ width: geometry.width, height: geometry.height, path: () => new SvgPath() },
    };
    const palette = { text: "CanvasText", ground: "Canvas", cell: "Canvas" };
    paintMarks(context as never, scene as never, 1, palette as never);
    expect(painted).toEqual(["fill Canvas", "fill #d55e00", "rim CanvasText"]);
  });

  it("lie side by side within their cell, at every size", () => {
    for (const [width, height] of [
      [3, 3],
      [7, 7],
      [12, 7],
      [34, 34],
      [51, 34],
    ] as const)
      for (const count of [1, 2, 8]) {
        const bars = barsOf({ x: 100, y: 50, width, height }, count);
        expect(bars.length).toBeGreaterThan(0);
        expect(bars.length).toBeLessThanOrEqual(count);
        let x = 100;
        for (const bar of bars) {
          expect(bar.x).toBeGreaterThanOrEqual(x);
          expect(bar.width).toBeGreaterThanOrEqual(2);
          x = bar.x + bar.width;
        }
        expect(x).toBeLessThanOrEqual(100 + width);
        // The state of the cell stays to be seen.
        expect(bars[0]!.height).toBeLessThan(height / 2);
      }
  });

  it("are all there where a cell is roomy", () => {
    expect(barsOf({ x: 0, y: 0, width: 34, height: 34 }, 8).length).toBe(8);
  });
});
