import { describe, expect, it } from "vitest";
import { readValues } from "../../src/model/cell_values";
import {
  binsOf,
  countFrom,
  keepClipped,
  keepRanking,
  ordinal,
  placeText,
  rankingOf,
} from "../../src/model/ranking";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small();
const valuesOf = (values: number[], more = {}) =>
  readValues(colors([...values, ...Array(cells.count - values.length).fill(Number.NaN)], more), cells)!;
const NONE = Number.NaN;

describe("the order of the cells", () => {
  it("is by value, or by the distance from zero where the scale has two sides", () => {
    const values = [NONE, NONE, NONE, 0.5, -2, 1];
    expect(rankingOf(valuesOf(values), cells).order).toEqual([4, 5, 3]);
    expect(rankingOf(valuesOf(values, { diverging: false }), cells).order).toEqual([5, 3, 4]);
  });

  it("calls them heads where all are, and cells where some are not", () => {
    expect(rankingOf(valuesOf([NONE, NONE, NONE, 1, 2]), cells).noun).toBe("head");
    expect(rankingOf(valuesOf([NONE, NONE, 1, 1, 2]), cells).noun).toBe("cell");
  });

  it("gives cells of one value one place", () => {
    const ranking = rankingOf(valuesOf([NONE, NONE, NONE, 1, 3, 3, NONE, NONE, 0.5]), cells);
    expect([4, 5, 3, 8, 9].map((n) => placeText(ranking, n))).toEqual([
      "1st of 4",
      "1st of 4",
      "3rd of 4",
      "4th of 4",
      "",
    ]);
  });

  it("counts what is at a threshold or beyond it", () => {
    const ranking = rankingOf(valuesOf([NONE, NONE, NONE, 1, -3, 3, NONE, NONE, 0.5]), cells);
    expect([4, 3, 1, 0.6, 0.5, 0].map((at) => countFrom(ranking, at))).toEqual([0, 2, 3, 3, 4, 4]);
  });

  it("is made once for the same values", () => {
    const keep = keepRanking();
    const values = valuesOf([1, 2]);
    expect(keep(values, cells)).toBe(keep(values, cells));
    expect(keep(null, cells)).toBeNull();
  });
});

it("counts in words as one speaks", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 112, 1003].map(ordinal)).toEqual([
    ..."1st 2nd 3rd 4th 11th 12th 13th 21st 112th 1,003rd".split(" "),
  ]);
});

describe("the parts of a histogram", () => {
  it("hold all values, those at the upper end too", () => {
    expect(binsOf([0, 0.1, 0.5, 0.99, 1], 0, 1, 4)).toEqual([2, 0, 1, 2]);
    expect(binsOf([3, 3], 3, 3, 5)).toEqual([0, 0, 2, 0, 0]);
  });
});

describe("the ends that a view chose", () => {
  it("replace those of the values, in an object that stays the same", () => {
    const clip = keepClipped();
    const [values, ends] = [valuesOf([1, 2]), { low: 0, high: 0.5 }];
    expect(clip(values, null)).toBe(values);
    expect(clip(values, ends)).toMatchObject({ low: 0, high: 0.5, values: values.values });
    expect(clip(values, ends)).toBe(clip(values, ends));
  });
});
