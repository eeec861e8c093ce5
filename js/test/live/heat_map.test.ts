import { describe, expect, it } from "vitest";
import { layOutMap, makeHeatMap, poolingText } from "../../src/live/heat_map";
import { patternsOf, squaresOf } from "../../src/live/patterns";
import { pixelsOf } from "../../src/live/squares";
import { head, liveView } from "../fixtures";

const tokens = ["when", " mary", " to"];
const [pattern] = patternsOf(liveView(tokens, [head(4, "l0h1", [[1], [0.25, 0.75], [0.04, 0.6, 0.36]])]));

describe("the layout of a map", () => {
  it("has labels where they fit, whole pixels where it can, and squares of three pixels at least", () => {
    expect(layOutMap(14, 14, 356)).toEqual({ pooling: 1, square: 20, labeled: true });
    expect(layOutMap(3, 3, 356).square).toBe(40);
    expect([layOutMap(14, 14, 210).labeled, layOutMap(14, 14, 210, 6).labeled]).toEqual([false, true]);
    expect(layOutMap(40, 40, 356)).toEqual({ pooling: 1, square: 7, labeled: false });
    for (const tokens of [60, 94, 100, 333, 1024, 2048]) {
      const { pooling, square } = layOutMap(tokens, tokens, 300);
      expect(square).toBeGreaterThanOrEqual(3);
      expect(square * Math.ceil(tokens / pooling)).toBeLessThanOrEqual(280.001);
    }
  });

  it("says what a square stands for", () => {
    expect(poolingText(400, 400, 5)).toBe("400 tokens: each square is the largest of 5 × 5");
    expect(poolingText(400, 90, 5)).toBe("400 queries and 90 keys: each square is the largest of 5 × 5");
    expect(poolingText(14, 14, 1)).toBe("");
  });
});

describe("a map", () => {
  it("has the full color for the largest attention, and none where a key comes later", () => {
    const ramp = Uint8ClampedArray.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : i >> 2));
    const pixels = pixelsOf(squaresOf(pattern!, 1, false), ramp);
    expect([...pixels.slice(0, 8)]).toEqual([255, 255, 255, 255, 0, 0, 0, 0]);
    expect(pixels[4 * 3]).toBe(128);
  });

  it("frames the query, names it and the key, and tells what one attends to the other", () => {
    const map = makeHeatMap({ reached: () => {}, chosen: () => {} }, new AbortController().signal);
    document.body.replaceChildren(map.element);
    map.update({ pattern: pattern!, tokens, keys: tokens, query: 2, key: 1, withoutFirst: false }, null);
    const marked = [...map.element.querySelectorAll(".hg-marked")].map((label) => label.textContent);
    expect(marked).toEqual(["·mary", "·to"]);
    expect(map.element.querySelector(".hg-readout")!.textContent).toBe("·to → ·mary: 60\u00a0%");
    expect(map.element.querySelector<HTMLElement>(".hg-row-frame")!.style.transform).toBe(
      "translate(0px,80px)",
    );
  });
});
