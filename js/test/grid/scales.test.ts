import { describe, expect, it } from "vitest";
import { channels, luminance } from "../../src/dom/theme";
import { levelOf, scaleOf } from "../../src/grid/scales";

const light = (color: string) => luminance(channels(color)!);
/** The contrast of two colors, as WCAG defines it. */
const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const every = [scaleOf(false, "light"), scaleOf(true, "light"), scaleOf(true, "dark")];

describe("the scales", () => {
  it("rise in lightness where they rise in value, so that no eye for hue is needed", () => {
    const lights = scaleOf(false, "light").colors.map(light);
    for (let k = 1; k < lights.length; k++) expect(lights[k]!).toBeGreaterThan(lights[k - 1]!);
    expect(contrast(lights[0]!, lights.at(-1)!)).toBeGreaterThan(10);
  });

  it.each(["light", "dark"])("leave the ground on both sides of zero, on a %s page", (theme) => {
    const lights = scaleOf(true, theme).colors.map(light);
    const middle = lights[lights.length >> 1]!;
    const sign = theme === "light" ? -1 : 1;
    for (const end of [lights[0]!, lights.at(-1)!]) expect(sign * (end - middle)).toBeGreaterThan(0.3);
    // Blue and orange are told apart by hue, so their lightness may be the same, and is.
    expect(contrast(lights[0]!, lights.at(-1)!)).toBeLessThan(1.6);
  });

  it("can be drawn upon at every value", () => {
    for (const { colors, marks } of every)
      for (const [k, color] of colors.entries())
        expect(contrast(light(color), marks[k] === "#000" ? 0 : 1)).toBeGreaterThan(4.5);
  });

  it("hold what lies beyond their ends, and have a middle for values that are all the same", () => {
    const last = scaleOf(false, "light").colors.length - 1;
    expect([-9, 0, 1, 2, 9].map((v) => levelOf(v, { low: 0, high: 2 }))).toEqual([
      0,
      0,
      last / 2,
      last,
      last,
    ]);
    expect(levelOf(3, { low: 3, high: 3 })).toBe(last / 2);
  });
});
