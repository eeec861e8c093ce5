import { describe, expect, it } from "vitest";
import { type Geometry, hit, LARGEST, layOut, rectOf, SMALLEST } from "../../src/grid/geometry";
import { arrange, HUGEST, LEAST, mapPoint, stepped, TINIEST, wheeled } from "../../src/grid/zoom";
import { readSpec } from "../../src/model/cells";
import { measure, small, specOf } from "../specs";

const wide = readSpec(specOf(12, 40, 4));
const huge = readSpec(specOf(126, 128, 16));

describe("the size of the cells", () => {
  it("is the largest for a small model", () => {
    expect(arrange(small(), 900, 500, measure).cell).toBe(LARGEST);
  });

  it("shrinks until the whole grid fits, down to three pixels", () => {
    const fitting = arrange(wide, 600, 500, measure);
    expect(fitting.width).toBeLessThanOrEqual(600);
    expect(layOut(wide, fitting.cell + 1, measure).width).toBeGreaterThan(600);
    expect(arrange(wide, 100, 500, measure).cell).toBe(LEAST);
    expect(arrange(huge, 652, 560, measure)).toMatchObject({ cell: LEAST, sums: expect.any(Number) });
  });

  it("is readable where that is asked for, and then scrolls", () => {
    const fitting = arrange(wide, 600, 500, measure, "readable");
    expect(fitting.width).toBeLessThanOrEqual(600);
    expect(layOut(wide, fitting.cell + 1, measure).width).toBeGreaterThan(600);
    expect(arrange(wide, 100, 500, measure, "readable").cell).toBe(SMALLEST);
    expect(arrange(huge, 652, 560, measure, "readable").cell).toBe(SMALLEST);
  });

  it("goes a little below that where it saves scrolling sideways", () => {
    const width = layOut(wide, 6, measure, true).width;
    expect(arrange(wide, width, 500, measure, "readable").cell).toBe(6);
  });

  it("fits the height too as long as the cells stay comfortable", () => {
    const { height } = layOut(wide, 24, measure);
    expect(arrange(wide, 2000, height, measure, "readable").cell).toBe(24);
    expect(arrange(wide, 2000, 200, measure, "readable").cell).toBe(20);
  });

  it("shows the whole of a huge model where that is asked for", () => {
    const whole = arrange(huge, 900, 560, measure, "whole");
    expect(whole.width).toBeLessThanOrEqual(900);
    expect(whole.height).toBeLessThanOrEqual(560);
    expect(whole.cell).toBeGreaterThanOrEqual(TINIEST);
    expect(layOut(huge, whole.cell + 1, measure).height).toBeGreaterThan(560);
  });

  it("is what was asked for, whether it fits or not", () => {
    expect(arrange(huge, 300, 200, measure, 26).cell).toBe(26);
  });

  it("goes in steps that end", () => {
    expect(stepped(7, 1)).toBe(9);
    expect(stepped(8, -1)).toBe(7);
    expect(stepped(HUGEST, 1)).toBe(HUGEST);
    expect(stepped(TINIEST, -1)).toBe(TINIEST);
  });

  it("follows a wheel in both directions, and stays within bounds", () => {
    expect(wheeled(wheeled(10, 60), -60)).toBeCloseTo(10);
    expect(wheeled(10, -120)).toBeGreaterThan(10);
    expect(wheeled(10, 1e6)).toBe(TINIEST);
    expect(wheeled(10, -1e6)).toBe(HUGEST);
  });
});

describe("a point of the grid", () => {
  const middle = (geometry: Geometry, row: number, column: number) => {
    const { x, y, width, height } = rectOf(geometry, { band: 1, row, column });
    return { x: x + width / 2, y: y + height / 2 };
  };

  it("stays on its cell at every size", () => {
    const before = layOut(wide, 9, measure);
    for (const size of [2, 3, 5, 20, 44])
      for (const [row, column] of [
        [0, 0],
        [11, 41],
        [3, 17],
      ] as const) {
        const after = layOut(wide, size, measure);
        const { x, y } = mapPoint(before, after, middle(before, row, column));
        expect(hit(wide, after, x, y)).toEqual({ band: 1, row, column });
      }
  });

  it("keeps its distance from what does not grow", () => {
    const [before, after] = [layOut(wide, 9, measure), layOut(wide, 30, measure)];
    expect(mapPoint(before, after, { x: before.bands[1]!.right + 12, y: 100 }).x).toBe(
      after.bands[1]!.right + 12,
    );
    expect(mapPoint(before, after, { x: 30, y: before.bands[1]!.rows - 4 }).y).toBe(after.bands[1]!.rows - 4);
  });
});
