import { describe, expect, test } from "vitest";
import type { Palette } from "../../src/dom/theme";
import { fileName, frameOf, wrap } from "../../src/export/picture";
import { SvgContext, SvgPath } from "../../src/export/svg";
import { layOut } from "../../src/grid/geometry";
import { paint } from "../../src/grid/paint";
import type { Scene } from "../../src/grid/scene";
import { assign, empty } from "../../src/model/bits";
import type { CellValues } from "../../src/model/cell_values";
import { readSpec } from "../../src/model/cells";
import { specOf } from "../specs";

const palette = new Proxy({ font: "11px sans", theme: "light", cell: "#eee", ground: "#fff" } as Palette, {
  get: (given, name: string) => given[name as keyof Palette] ?? `#${name}`,
});
const measure = (text: string) => 6 * text.length;

function sceneOf(more: Partial<Scene> = {}): Scene {
  const cells = readSpec(specOf(3, 5));
  const geometry = layOut(cells, 20, measure);
  return {
    cells,
    geometry,
    on: assign(empty(cells.count), [4, 5], true),
    partial: empty(cells.count),
    ...{ cellValues: null, arrows: [], marks: [], cursor: null, focused: false, hover: null },
    ...{ scroll: { x: 0, y: 0 }, width: geometry.width, height: geometry.height, ratio: 1 },
    path: () => new SvgPath(),
    ...more,
  };
}

function textsOf(scene: Scene, title = "<model>", marks: string[] = []): string[] {
  const svg = new SvgContext(palette.font, { width: measure, baseline: () => 4 });
  const caption = { selection: "l1h2 | l0 mlp", counts: "1 head, 1 MLP", marks };
  const frame = frameOf(scene, palette, title, caption, measure);
  frame.paint(svg);
  const page = new DOMParser().parseFromString(
    svg.toString(frame.width, frame.height, "", ""),
    "image/svg+xml",
  );
  return [...page.querySelectorAll("text")].map((node) => node.textContent ?? "");
}

describe("a picture", () => {
  test("says the model, the selection and what its colors mean", () => {
    expect(textsOf(sceneOf())).toEqual(["<model>", "l1h2 | l0 mlp", "1 head, 1 MLP", "selected"]);
  });

  test("has a scale where the cells are colored, and a sign for those without a value", () => {
    const { cells } = sceneOf();
    const values = new Float32Array(cells.count).fill(0.5);
    values[7] = Number.NaN;
    const cellValues = {
      label: "score",
      values,
      low: -2,
      high: 2,
      diverging: true,
      missing: true,
    } as CellValues;
    expect(textsOf(sceneOf({ cellValues })).slice(3)).toEqual([
      "score",
      "−2.00",
      "0",
      "2.00",
      "no value",
      "selected",
    ]);
  });

  test("says the range of the values and that some lie beyond the scale", () => {
    const values = new Float32Array(sceneOf().cells.count).fill(3);
    const cellValues = {
      label: "score",
      values,
      low: 0,
      high: 2,
      range: "all are 3",
      missing: false,
    } as CellValues;
    expect(textsOf(sceneOf({ cellValues })).slice(3, 8)).toEqual([
      "score",
      "0",
      "≥ 2.00",
      "all are 3",
      "beyond the scale",
    ]);
  });

  test("names the saved selections that are marked", () => {
    const marks = [{ color: "#d55e00", bits: empty(40) }];
    expect(textsOf(sceneOf({ marks }), "m", ["my <heads>"]).at(-1)).toBe("my <heads>");
  });

  test("has room for all that stands in it", () => {
    const scene = sceneOf();
    const caption = { selection: "none", counts: "", marks: [] };
    const frame = frameOf(scene, palette, "m", caption, measure);
    expect(frame.width).toBeGreaterThanOrEqual(scene.geometry.width + frame.left);
    expect(frame.height).toBeGreaterThanOrEqual(frame.top + scene.geometry.height);
  });

  test("has a rectangle for every cell", () => {
    const scene = sceneOf();
    const svg = new SvgContext(palette.font, { width: measure, baseline: () => 4 });
    paint(svg, scene, palette);
    const page = new DOMParser().parseFromString(svg.toString(1, 1, "", ""), "image/svg+xml");
    const drawn = [...page.querySelectorAll('path[fill="#eee"],path[fill="#on"]')];
    const rectangles = drawn.map((path) => path.getAttribute("d")!.split("M").length - 1);
    expect(rectangles.reduce((sum, n) => sum + n)).toBe(scene.cells.count);
    expect(page.querySelectorAll('path[fill="#on"]')[0]!.getAttribute("d")!.split("M").length - 1).toBe(2);
  });
});

test("a long text is broken at blanks and ends in an ellipsis", () => {
  const length = (text: string) => text.length;
  expect(wrap("aa bb cc", 20, 2, length)).toEqual(["aa bb cc"]);
  expect(wrap("l0h1 | l0h2 | l0h3", 8, 3, length)).toEqual(["l0h1 |", "l0h2 |", "l0h3"]);
  expect(wrap("l0h1 | l0h2 | l0h3 | l0h4", 8, 2, length)).toEqual(["l0h1 |", "l0h2 | …"]);
  expect(wrap("abcdefghij", 4, 3, length)).toEqual(["abcd", "efgh", "ij"]);
  expect(wrap("", 4, 3, length)).toEqual([]);
});

test("a file's name is made of letters and digits alone", () => {
  expect(fileName("GPT2LMHeadModel: 2 layers/4 heads <b>", "svg")).toBe(
    "headgrid-GPT2LMHeadModel-2-layers-4-heads-b.svg",
  );
  expect(fileName("../../etc/passwd", "png")).toBe("headgrid-etc-passwd.png");
  expect(fileName("模型", "png")).toBe("headgrid-grid.png");
});
