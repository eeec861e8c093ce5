import { describe, expect, it } from "vitest";
import { columnsBetween, hit, layOut, rectOf, rowsBetween, unionOf } from "../../src/grid/geometry";
import { readSpec } from "../../src/model/cells";
import { handledCells } from "../handled";
import { measure, mixture, small, specOf } from "../specs";

const wide = readSpec(specOf(12, 40, 4));

describe("the geometry", () => {
  it("finds every cell again in its own middle", () => {
    const geometry = layOut(wide, 9, measure);
    for (const [row, column] of [
      [0, 0],
      [11, 41],
      [3, 17],
    ] as const) {
      const position = { band: 1, row, column };
      const { x, y, width, height } = rectOf(geometry, position);
      expect(hit(wide, geometry, x + width / 2, y + height / 2)).toEqual(position);
    }
  });

  it("leaves no dead pixels between neighboring heads", () => {
    const geometry = layOut(wide, 20, measure);
    const { x, y, width } = rectOf(geometry, { band: 1, row: 2, column: 5 });
    for (let dx = 0; dx <= width + geometry.gap; dx++)
      expect(hit(wide, geometry, x + dx, y + 5)?.row).toBe(2);
  });

  it("holds the headers in place while their band scrolls", () => {
    const geometry = layOut(wide, 20, measure);
    const scroll = { x: 100, y: 150 };
    expect(hit(wide, geometry, 104, 155, scroll)).toEqual({ band: 1, row: -1, column: -1 });
    expect(hit(wide, geometry, 104, 150 + geometry.bands[1]!.head + 30, scroll)?.column).toBe(-1);
    expect(rectOf(geometry, { band: 1, row: -2, column: 5 }, scroll).y).toBe(150);
    expect(rectOf(geometry, { band: 1, row: -1, column: 3 }, scroll).y).toBe(
      150 + geometry.bands[1]!.bracket,
    );
  });

  it("hits nothing beside the cells", () => {
    const geometry = layOut(wide, 20, measure);
    expect(hit(wide, geometry, geometry.width + 50, 100)).toBeNull();
    expect(hit(wide, geometry, 10, geometry.height + 50)).toBeNull();
  });

  it("gives a band without layers no headers", () => {
    const geometry = layOut(small(), 20, measure);
    expect(geometry.bands.map((band) => band.head > 0)).toEqual([false, true, false]);
  });

  it("keeps room for captions above heads and experts, which are no header to click", () => {
    const cells = readSpec({ bands: [mixture()] });
    const geometry = layOut(cells, 20, measure);
    const box = geometry.bands[0]!;
    const header = rectOf(geometry, { band: 0, row: -1, column: 4 });
    expect(box.caption).toBeGreaterThan(0);
    expect(header.y).toBe(box.top + box.caption);
    expect(header.y + header.height).toBe(box.rows);
    expect(hit(cells, geometry, header.x + 3, header.y + 3)).toEqual({ band: 0, row: -1, column: 4 });
    expect(hit(cells, geometry, header.x + 3, header.y - 3)).toBeNull();
  });

  it("reaches a handle from anywhere between the columns on either side, and a column only on itself then", () => {
    const cells = handledCells();
    const geometry = layOut(cells, 20, measure);
    const box = geometry.bands[0]!;
    const handleWidth = rectOf(geometry, { band: 0, row: 0, column: -2 });
    expect(handleWidth.x).toBeGreaterThan(box.lefts[2]! + box.widths[2]!);
    expect(handleWidth.x + handleWidth.width).toBeLessThan(box.lefts[3]!);
    const at = (x: number) => hit(cells, geometry, x, handleWidth.y + 3)?.column;
    expect(at(box.lefts[2]! + box.widths[2]! + 1)).toBe(-2);
    expect(at(box.lefts[3]! - 1)).toBe(-2);
    expect(at(box.lefts[3]! + 1)).toBe(3);
    expect(at(box.lefts[2]! + box.widths[2]! - 1)).toBe(2);
    expect(hit(cells, geometry, handleWidth.x + 2, box.rows - 3)).toEqual({ band: 0, row: -1, column: -2 });
  });

  it("finds a group by its bracket, and nothing beside the groups", () => {
    const geometry = layOut(wide, 20, measure);
    const bracket = rectOf(geometry, { band: 1, row: -2, column: 5 });
    const box = geometry.bands[1]!;
    expect(bracket.x).toBe(box.lefts[5]);
    expect(bracket.x + bracket.width).toBe(box.lefts[8]! + box.widths[8]!);
    const at = (x: number) => hit(wide, geometry, x, bracket.y + 4);
    expect(at(bracket.x + bracket.width - 2)).toEqual({ band: 1, row: -2, column: 5 });
    expect(at(box.lefts[0]! + 2)).toBeNull();
    expect(hit(wide, geometry, 4, bracket.y + 4)).toEqual({ band: 1, row: -1, column: -1 });
  });

  it("spans two rectangles", () => {
    const [a, b] = [
      { x: 5, y: 40, width: 10, height: 20 },
      { x: 30, y: 2, width: 4, height: 8 },
    ];
    expect(unionOf(a, b)).toEqual({ x: 5, y: 2, width: 29, height: 58 });
  });

  it("names the rows and columns in sight", () => {
    const box = layOut(wide, 20, measure).bands[1]!;
    expect(rowsBetween(box, 12, box.rows + 2 * box.pitch, box.rows + 5 * box.pitch)).toEqual([2, 5]);
    expect(columnsBetween(box, box.lefts[3]!, box.lefts[9]!)).toEqual([3, 9]);
  });
});
