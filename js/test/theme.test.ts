import { describe, expect, it } from "vitest";
import { channels, luminance } from "../src/theme";

describe("the theme", () => {
  it("reads computed colours", () => {
    expect(channels("rgb(17, 19, 23)")).toEqual([17, 19, 23, 1]);
    expect(channels("rgba(0, 0, 0, 0)")?.[3]).toBe(0);
    expect(channels("color(srgb 1 1 1)")).toEqual([255, 255, 255, 1]);
    expect(channels("transparent")).toBeNull();
  });

  it("tells dark from light by luminance", () => {
    expect(luminance([17, 17, 17])).toBeLessThan(0.18);
    expect(luminance([255, 255, 255])).toBeCloseTo(1);
  });
});
