import { describe, expect, it } from "vitest";
import { SvgPath } from "../../src/export/svg";
import { layOut } from "../../src/grid/geometry";
import { insetOf, LEAST_PATTERN, paintPatterns, squaresIn } from "../../src/grid/patterns";
import { keepPatternCells } from "../../src/model/pattern_cells";
import { measure, on, small } from "../specs";

const cells = small();
const L0H1 = 4;
const bytes = (...values: number[]) => new DataView(Uint8Array.from(values).buffer);
const thumbnails = (values: DataView, ...of: number[]) => ({
  ...{ query: 1, row: 0, size: 2, cells: of, values, note: "", pending: false },
});

describe("the patterns of cells", () => {
  it("are read by cell, those whose bytes have come, and are the same while the bytes are", () => {
    const read = keepPatternCells();
    const values = bytes(255, 0, 128, 255, 255, 0);
    const found = read(thumbnails(values, L0H1, 5))!;
    expect([...found.of.keys()]).toEqual([L0H1]);
    expect([...found.of.get(L0H1)!]).toEqual([255, 0, 128, 255]);
    expect(read(thumbnails(values, L0H1, 5))).toBe(found);
    expect(read(thumbnails(bytes(1, 2, 3, 4), L0H1))).not.toBe(found);
    expect(read(null)).toBeNull();
  });

  it("are squares on whole pixels, neighbors that are alike as one", () => {
    const squares: unknown[] = [];
    const rect = { x: 10, y: 20, width: 25, height: 25 };
    squaresIn(Uint8Array.of(255, 255, 0, 255), 2, rect, 1, (strength, one) => squares.push([strength, one]));
    expect(squares).toEqual([
      [12, { x: 10, y: 20, width: 25, height: 13 }],
      [12, { x: 23, y: 33, width: 12, height: 12 }],
    ]);
  });

  it("leave a frame of the cell, a wider one where that says something", () => {
    expect([insetOf(false, false), insetOf(true, false), insetOf(true, true)]).toEqual([2, 4, 6]);
  });

  it("are painted where cells are large enough, on a ground of their own", () => {
    const painted = (side: number) => {
      const fills: string[] = [];
      const context = {
        fillStyle: "",
        globalAlpha: 1,
        fill: (path: SvgPath) => path.d && fills.push(context.fillStyle),
      };
      const geometry = layOut(cells, side, measure);
      const scene = {
        ...{
          cells,
          geometry,
          on: on(cells),
          partial: on(cells),
          cellValues: null,
          ratio: 1,
          scroll: { x: 0, y: 0 },
        },
        ...{ width: geometry.width, height: geometry.height, path: () => new SvgPath() },
      };
      const patterns = keepPatternCells()(thumbnails(bytes(255, 0, 128, 255), L0H1))!;
      paintPatterns(context as never, scene as never, 1, { ground: "white", on: "blue" } as never, patterns);
      return fills;
    };
    expect(painted(LEAST_PATTERN)).toEqual(["white", "blue", "blue"]);
    expect(painted(LEAST_PATTERN - 1)).toEqual([]);
  });
});
