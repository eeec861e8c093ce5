import { describe, expect, it } from "vitest";
import { channels, luminance } from "../src/dom/theme";

declare global {
  interface ImportMeta {
    glob(pattern: string, options: object): Record<string, string>;
  }
}

const sheets = import.meta.glob("../src/**/*.css", { query: "?raw", import: "default", eager: true });
const palette = sheets["../src/chrome/palette.css"]!;

describe("the style sheets", () => {
  it("have three sizes of type", () => {
    const other = Object.entries(sheets).flatMap(([path, text]) =>
      [...text.matchAll(/font(?:-size)?:[^;]*?([\d.]+)px/g)]
        .filter(([, size]) => !["13", "12", "11"].includes(size!))
        .map(([rule]) => `${path} ${rule}`),
    );
    expect(Object.keys(sheets).length).toBeGreaterThan(10);
    expect(other).toEqual([]);
  });
});

/** The colors of a theme. */
function colorsOf(dark: boolean): Record<string, string> {
  const [light = "", own = ""] = palette.split('&[data-theme="dark"]');
  return Object.fromEntries(
    [...(dark ? own : light).matchAll(/--hg-([\w-]+): (#\w{6})/g)].map(([, name, color]) => [name!, color!]),
  );
}

function contrast(a: string, b: string): number {
  const rgb = (hex: string) =>
    channels(`rgb(${[1, 3, 5].map((k) => Number.parseInt(hex.slice(k, k + 2), 16))})`)!;
  const [low, high] = [luminance(rgb(a)), luminance(rgb(b))].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe.each([false, true])("the palette, dark: %s", (dark) => {
  const colors = colorsOf(dark);
  const of = (a: string, b: string) => contrast(colors[a]!, colors[b]!);

  it("has edges of cells that stand out from the ground (WCAG 1.4.11)", () => {
    expect(of("edge", "ground")).toBeGreaterThanOrEqual(3);
  });

  it("tells a selected cell from one that is not, and from the ground", () => {
    expect(of("on", "cell")).toBeGreaterThanOrEqual(3);
    expect(of("on", "ground")).toBeGreaterThanOrEqual(3);
  });

  it("has a ring of what is looked at that stands out from the ground, from cells and from what is selected", () => {
    for (const other of ["ground", "cell"]) expect(of("text", other)).toBeGreaterThanOrEqual(3);
    // The ring lies outside of its cell, with a rim of the ground on either side.
    expect(of("on", "ground")).toBeGreaterThanOrEqual(3);
  });
});
