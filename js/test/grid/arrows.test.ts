import { describe, expect, it } from "vitest";
import { curvesOf, highestZ, passing, within, zOf } from "../../src/grid/arrows";
import { layOut, rectOf } from "../../src/grid/geometry";
import { readSpec } from "../../src/model/cells";
import { cellsOf } from "../../src/model/stacks";
import type { ArrowChoice } from "../../src/model/view";
import { arrow } from "../fixtures";
import { measure, specOf, stacked } from "../specs";

/** 4 layers of 3 heads: layer l's head h is cell 3 + 5 l + h. */
const cells = readSpec(specOf(4, 3));
const head = (layer: number, h: number) => 3 + 5 * layer + h;
const geometry = layOut(cells, 24, measure);
const choice = (more: Partial<ArrowChoice> = {}): ArrowChoice => ({
  shown: true,
  z: 3,
  kinds: { Q: true, K: true, V: true },
  ...more,
});
const ALL = [
  arrow(head(0, 0), head(1, 2), 4, "Q"),
  arrow(head(0, 1), head(3, 1), 9, "K"),
  arrow(head(1, 0), head(2, 0), 2.9, "V"),
  arrow(head(1, 0), head(2, 1), Number.NaN, "V"),
];

describe("an arrow that was tested", () => {
  it("fades where it carries no more than random writes do, and only there", () => {
    const tested = [
      { ...ALL[0]!, carries: 0.1, stands_out: false },
      { ...ALL[1]!, carries: -2, stands_out: true },
    ];
    expect(curvesOf(tested, choice(), cells, geometry).map(({ idle }) => idle)).toEqual([false, true]);
    expect(curvesOf(ALL, choice(), cells, geometry).some(({ idle }) => idle)).toBe(false);
  });
});

describe("the arrows that are drawn", () => {
  it("are those at or above the threshold, strongest first", () => {
    expect(passing(ALL, choice(), cells).map(zOf)).toEqual([9, 4]);
    expect(passing(ALL, choice({ z: 2.9 }), cells)).toHaveLength(3);
    expect(passing(ALL, choice({ shown: false }), cells)).toEqual([]);
  });

  it("are of the kinds that are chosen", () => {
    const kinds = { Q: false, K: true, V: true };
    expect(passing(ALL, choice({ kinds }), cells).map(({ kind }) => kind)).toEqual(["K"]);
  });

  it("lie in the stack that is shown", () => {
    const all = readSpec(stacked());
    const across = [arrow(1, 3, 5), arrow(6, 8, 5), arrow(2, 8, 5)];
    expect(within(across, cellsOf(all, "dec"))).toEqual([across[1]]);
  });

  it("are not more than can be told apart", () => {
    const many = Array.from({ length: 500 }, (_, k) => arrow(head(0, 0), head(1, 0), 3 + k));
    const drawn = passing(many, choice(), cells);
    expect(drawn.length).toBeLessThan(200);
    expect(zOf(drawn[0]!)).toBe(502);
  });

  it("give the slider its end", () => {
    expect([highestZ(ALL), highestZ([])]).toEqual([9, 4]);
  });
});

describe("an arrow's curve", () => {
  const [strong, weak] = curvesOf(passing(ALL, choice(), cells), choice(), cells, geometry);
  const inside = ({ x, y }: { x: number; y: number }, cell: number) => {
    const n = cell - 3;
    const rect = rectOf(geometry, { band: 1, row: Math.floor(n / 5), column: (n % 5) + 1 });
    return x > rect.x && x < rect.x + rect.width && y > rect.y && y < rect.y + rect.height;
  };

  it("goes from inside its source to inside its target", () => {
    for (const { arrow, points } of [strong!, weak!]) {
      expect(inside(points[0], arrow.source)).toBe(true);
      expect(inside(points[3], arrow.target)).toBe(true);
    }
  });

  it("bows aside where cells lie straight between", () => {
    expect(strong!.points[1].x - strong!.points[0].x).toBeGreaterThan(geometry.cell / 2);
  });

  it("has a strength from the threshold to the strongest", () => {
    expect(strong!.strength).toBe(1);
    expect(weak!.strength).toBeCloseTo(1 / 6);
  });

  it("is plain unless it is an outlier among the model's own pairs", () => {
    const plain = (fence?: number | null) =>
      curvesOf(passing(ALL, choice(), cells), choice(), cells, geometry, fence).map((curve) => curve.plain);
    expect(plain(4)).toEqual([false, true]);
    expect(plain(9)).toEqual([true, true]);
    expect(plain(null)).toEqual([true, true]);
  });

  it("keeps the three kinds of one pair apart", () => {
    const three = (["Q", "K", "V"] as const).map((kind) => arrow(head(0, 0), head(1, 2), 5, kind));
    const starts = curvesOf(three, choice(), cells, geometry).map(({ points }) => points[0].x);
    expect(new Set(starts.map(Math.round)).size).toBe(3);
  });
});
