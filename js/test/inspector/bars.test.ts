import { describe, expect, it } from "vitest";
import { barAt, barFor, barsOf } from "../../src/inspector/bars";

describe("bars", () => {
  it("stand on zero at the bottom where nothing is negative", () => {
    const bars = barsOf([4, 2, 1]);
    expect(bars.zero).toBe(100);
    expect(bars.path((i) => i === 1)).toBe("M1.12 100V50H1.88V100Z");
    expect(bars.path(() => true).match(/M/g)).toHaveLength(3);
  });

  it("hang from zero where they are negative", () => {
    const bars = barsOf([3, -1]);
    expect(bars.zero).toBe(75);
    expect(bars.path((i) => i === 1)).toContain("V100");
  });

  it("leave out what is not a number, and draw nothing of nothing but zeros", () => {
    expect(barsOf([Number.NaN, 2]).path((i) => i === 0)).toContain("V100H");
    expect(barsOf([0, 0]).path(() => true)).not.toContain("NaN");
  });

  it("touch each other when they are many", () => {
    expect(barsOf(Array(200).fill(1)).path((i) => i === 7)).toMatch(/^M7 .*H8V/);
  });

  it("are found by a pointer", () => {
    expect([-0.1, 0, 0.34, 0.99, 1.2].map((fraction) => barAt(fraction, 3))).toEqual([0, 0, 1, 2, 2]);
  });

  it("are found by keys, which stop at the ends", () => {
    expect(["ArrowLeft", "ArrowRight", "Home", "End", "a"].map((key) => barFor(key, 0, 5))).toEqual([
      0,
      1,
      0,
      4,
      null,
    ]);
    expect(barFor("ArrowUp", 4, 5)).toBe(4);
  });
});
