import { describe, expect, it } from "vitest";
import {
  attentionOf,
  averageOf,
  isSpecial,
  patternsOf,
  peakOf,
  percent,
  poolingOf,
  squaresOf,
  strongestKeys,
} from "../../src/live/patterns";
import { head, liveView } from "../fixtures";

const view = liveView(["when", " mary", " gave"], [head(4, "l0h1", [[1], [0.25, 0.75], [0.04, 0.6, 0.36]])]);
const [pattern] = patternsOf(view);

describe("an attention pattern", () => {
  it("is read from a triangle of roots, and is nothing for keys that come later", () => {
    expect(attentionOf(pattern!, 2, 1)).toBeCloseTo(0.6, 2);
    expect(attentionOf(pattern!, 1, 0)).toBeCloseTo(0.25, 2);
    expect(attentionOf(pattern!, 0, 2)).toBe(0);
  });

  it("is read from a rectangle where the keys are another text", () => {
    const cross = patternsOf({
      ...liveView(
        ["a", "b"],
        [
          head(4, "l0h1", [
            [0.1, 0.2, 0.7],
            [0.3, 0.3, 0.4],
          ]),
        ],
      ),
      ...{ keys: ["x", "y", "z"], triangle: false },
    });
    expect([cross[0]!.queries, cross[0]!.keys]).toEqual([2, 3]);
    expect(attentionOf(cross[0]!, 1, 2)).toBeCloseTo(0.4, 2);
    expect(strongestKeys(cross[0]!, 0, false).map(({ key }) => key)).toEqual([2, 1, 0]);
  });

  it("is left out where its bytes are not those of these tokens", () => {
    expect(patternsOf({ ...view, tokens: ["when", " mary"] })).toEqual([]);
    expect(patternsOf({ ...view, tokens: [] })).toEqual([]);
  });

  it("lists the keys of a query, strongest first, and leaves out the first token where that is wanted", () => {
    expect(strongestKeys(pattern!, 2, false).map(({ key }) => key)).toEqual([1, 2, 0]);
    expect(strongestKeys(pattern!, 1, true).map(({ key }) => key)).toEqual([1]);
    expect(strongestKeys(pattern!, 0, true)).toEqual([]);
  });

  it("is averaged in attention, not in roots", () => {
    const other = patternsOf(liveView(view.tokens, [head(5, "l0h2", [[1], [1, 0], [0.36, 0.6, 0.04]])]))[0]!;
    const mean = averageOf([pattern!, other]);
    expect(attentionOf(mean, 1, 0)).toBeCloseTo(0.625, 2);
    expect(attentionOf(mean, 2, 0)).toBeCloseTo(0.2, 2);
    expect([mean.title, mean.cell, mean.scores]).toEqual(["average of 2", -1, []]);
  });
});

describe("a pattern in squares", () => {
  it("has a square for each token while that is three pixels wide", () => {
    expect([poolingOf(100, 300), poolingOf(101, 300), poolingOf(1024, 300), poolingOf(8, 0)]).toEqual([
      1, 2, 11, 1,
    ]);
    const squares = squaresOf(pattern!, 1, false);
    expect([...squares.roots].map((root) => Math.round(root * 100))).toEqual([
      ...[100, Number.NaN, Number.NaN],
      ...[50, 87, Number.NaN],
      ...[20, 78, 60],
    ]);
    expect(squares.most).toBe(1);
  });

  it("shows the largest of several, where it has to, and finds it again", () => {
    const squares = squaresOf(pattern!, 2, false);
    expect([squares.rows, squares.columns]).toEqual([2, 2]);
    expect([...squares.roots].map((root) => Math.round(root * 100))).toEqual([100, Number.NaN, 78, 60]);
    expect(peakOf(pattern!, squares, 1, 0)).toEqual([2, 1]);
    expect(peakOf(pattern!, squares, 0, 0)).toEqual([0, 0]);
  });

  it("takes its scale from what is left without the first token", () => {
    const squares = squaresOf(pattern!, 1, true);
    expect(squares.roots[0]).toBe(0);
    expect(squares.most).toBeCloseTo(Math.sqrt(0.75), 2);
  });
});

describe("numbers and tokens", () => {
  it("are whole percents, and never nothing where there is something", () => {
    expect([0.478, 0.004, 0, 1].map(percent)).toEqual(["48\u00a0%", "<1\u00a0%", "0\u00a0%", "100\u00a0%"]);
  });

  it("tells tokens that stand for no text", () => {
    expect(["<bos>", "<|endoftext|>", "[CLS]", "</s>", " <pad>"].map(isSpecial)).toEqual(Array(5).fill(true));
    expect([" the", "<", "a > b", "[the]"].map(isSpecial)).toEqual(Array(4).fill(false));
  });
});
