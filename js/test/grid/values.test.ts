import { describe, expect, it } from "vitest";
import { SvgPath } from "../../src/export/svg";
import { layOut } from "../../src/grid/geometry";
import { paintValues, strongestOf } from "../../src/grid/values";
import { readValues } from "../../src/model/cell_values";
import { keepPatternCells } from "../../src/model/pattern_cells";
import { measure, on, small } from "../specs";

const cells = small();
const [L0H0, L0H1, L1H0] = [3, 4, 9];
const palette = { theme: "light", font: "11px x", ground: "white" } as never;

function valuesOf(of: Record<number, number>, diverging = false) {
  const view = new DataView(new ArrayBuffer(4 * cells.count));
  for (let n = 0; n < cells.count; n++) view.setFloat32(4 * n, of[n] ?? Number.NaN, true);
  return readValues({ values: view, label: "effect", low: -3, high: 3, diverging }, cells)!;
}

/** What is written into the cells of the layers whose heads have a side of so many pixels: each text with its font. */
function written(side: number, of: Record<number, number>, withPattern?: number) {
  const texts: [string, string][] = [];
  const grounds: unknown[] = [];
  const context = {
    ...{ fillStyle: "", font: "11px x", textAlign: "", textBaseline: "" },
    measureText: (text: string) => ({ width: 6 * text.length }),
    fillText: (text: string) => texts.push([text, context.font]),
    fillRect: (...rect: unknown[]) => grounds.push(rect),
  };
  const geometry = layOut(cells, side, measure);
  const bytes = new DataView(Uint8Array.of(255, 0, 128, 255).buffer);
  const thumbnails = {
    query: 1,
    row: 0,
    size: 2,
    cells: [withPattern!],
    values: bytes,
    note: "",
    pending: false,
  };
  const scene = {
    ...{ cells, geometry, on: on(cells), partial: on(cells), ratio: 1, scroll: { x: 0, y: 0 } },
    ...{ width: geometry.width, height: geometry.height, path: () => new SvgPath() },
    patterns: withPattern === undefined ? null : keepPatternCells()(thumbnails),
  };
  paintValues(context as never, scene as never, 1, palette, valuesOf(of, true));
  return { texts, grounds };
}

describe("the values in cells", () => {
  it("are written where cells are large enough, in two digits, the strongest in bold", () => {
    const of = { [L0H0]: 0.12345, [L0H1]: -12.04, [L1H0]: 1.5 };
    expect(written(40, of).texts).toEqual([
      ["0.12", "11px x"],
      ["−12", "bold 11px x"],
      ["1.5", "11px x"],
    ]);
    expect(written(29, of).texts).toEqual([]);
  });

  it("are left out where they are wider than their cell", () => {
    expect(written(34, { [L0H0]: 1.2e-5, [L0H1]: 2 }).texts).toEqual([["2.0", "bold 11px x"]]);
  });

  it("leave patterns uncovered, but for the strongest head's on a ground of its own", () => {
    expect(written(40, { [L0H0]: 1, [L0H1]: 2 }, L0H0)).toMatchObject({
      texts: [["2.0", "bold 11px x"]],
      grounds: [],
    });
    const found = written(40, { [L0H0]: 3, [L0H1]: 2 }, L0H0);
    expect(found.texts).toEqual([
      ["3.0", "bold 11px x"],
      ["2.0", "11px x"],
    ]);
    expect(found.grounds).toHaveLength(1);
  });

  it("name the strongest by its distance from zero where the scale has two sides", () => {
    expect(strongestOf(valuesOf({ [L0H0]: 2, [L0H1]: -3 }, true), cells)).toBe(L0H1);
    expect(strongestOf(valuesOf({ [L0H0]: 2, [L0H1]: -3 }), cells)).toBe(L0H0);
    expect(strongestOf(valuesOf({}), cells)).toBe(-1);
  });
});
