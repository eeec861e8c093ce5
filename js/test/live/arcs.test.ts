import { describe, expect, it } from "vitest";
import { makeArcView, rowsInSight } from "../../src/live/arc_view";
import { arcsOf, STRENGTHS } from "../../src/live/arcs";
import { patternsOf } from "../../src/live/patterns";
import { head, liveView } from "../fixtures";

const tokens = ["when", " mary", " and", " to"];
const rows = [[1], [0.25, 0.75], [0.01, 0.29, 0.7], [0.5, 0, 0.5, 0]];
const [pattern] = patternsOf(liveView(tokens, [head(4, "l0h1", rows)]));
const everywhere = { first: 0, end: 4 };
const all = { query: -1, key: -1, withoutFirst: false };
const flat = (levels: number[][]) => {
  const pairs = levels.flatMap((ends) => ends.map((_, i) => (i % 2 ? "" : `${ends[i]}-${ends[i + 1]}`)));
  return pairs.filter(Boolean).sort();
};

describe("arcs", () => {
  it("lead from each query to the keys that it attends to, the strongest last, and what is next to nothing has none", () => {
    const levels = arcsOf(pattern!, everywhere, 1, all);
    expect(flat(levels)).toEqual(["0-0", "1-0", "1-1", "2-1", "2-2", "3-0", "3-2"]);
    expect(levels[STRENGTHS - 1]).toEqual([0, 0]);
  });

  it("are those of one query, of one key, or without the first token", () => {
    expect(flat(arcsOf(pattern!, everywhere, 1, { ...all, query: 2 }))).toEqual(["2-1", "2-2"]);
    expect(flat(arcsOf(pattern!, everywhere, 1, { ...all, key: 1 }))).toEqual(["1-1", "2-1"]);
    expect(flat(arcsOf(pattern!, everywhere, 1, { ...all, withoutFirst: true }))).not.toContain("3-0");
  });

  it("are drawn where they cross what is in sight", () => {
    expect(flat(arcsOf(pattern!, { first: 2, end: 3 }, 1, all))).toEqual(["2-1", "2-2", "3-0", "3-2"]);
    expect(rowsInSight(1000, 1800, 432)).toEqual({ first: 94, end: 130 });
    expect(rowsInSight(5, 0, 432)).toEqual({ first: 0, end: 5 });
  });
});

describe("the view of arcs", () => {
  const viewOf = (count: number) => {
    const said: unknown[] = [];
    const many = Array.from({ length: count }, (_, k) => ` t${k}`);
    const flatRows = many.map((_, q) => Array.from({ length: q + 1 }, () => 1 / (q + 1)));
    const [one] = patternsOf(liveView(many, [head(4, "l0h1", flatRows)]));
    const view = makeArcView(
      { reached: (at) => said.push(at), chosen: (query) => said.push(query) },
      new AbortController().signal,
    );
    document.body.replaceChildren(view.element);
    const state = { pattern: one!, tokens: many, keys: many, query: 1, key: -1, withoutFirst: false };
    view.update(state, null, false);
    const over = (selector: string, k: number) =>
      view.element
        .querySelectorAll(`${selector} span`)
        [k]!.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
    return { ...view, said, state, over, sheet: view.element.querySelector(".hg-arc-sheet")! };
  };

  it("has a column for the keys and one for the queries, of which those in sight are there", () => {
    const { element } = viewOf(300);
    const counts = [".hg-arc-keys span", ".hg-arc-queries span"].map(
      (selector) => element.querySelectorAll(selector).length,
    );
    expect(counts).toEqual([30, 30]);
  });

  it("asks for the query that is pointed at, and keeps one that is clicked", () => {
    const view = viewOf(4);
    view.over(".hg-arc-queries", 2);
    view.element.querySelectorAll<HTMLElement>(".hg-arc-queries span")[3]!.click();
    expect(view.said).toEqual([{ query: 2, key: -1 }, 3]);
  });

  it("shows the arcs of what is pointed at alone: of a query, or of a key", () => {
    const view = viewOf(4);
    const seen = () => [
      view.sheet.classList.contains("hg-few"),
      view.element.querySelector(".hg-marked")?.textContent,
    ];
    expect(seen()).toEqual([false, "·t1"]);
    view.update({ ...view.state, query: 3 }, null, true);
    expect(seen()).toEqual([true, "·t3"]);
    view.update(view.state, null, false);
    view.over(".hg-arc-keys", 0);
    expect(seen()).toEqual([true, "·t0"]);
  });
});
