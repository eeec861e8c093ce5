import { describe, expect, it } from "vitest";
import { makeStart, type StartState } from "../../src/chrome/start";
import { readValues } from "../../src/model/cell_values";
import { rankingOf } from "../../src/model/ranking";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small();
const values = readValues(
  colors([Number.NaN, Number.NaN, Number.NaN, 0.2, -0.8, 0.4, ...Array(7).fill(Number.NaN)]),
  cells,
)!;
const metrics = [{ name: "copying", label: "copying score", help: "how much it copies", live: false }];

function startOf(more: Partial<StartState> = {}) {
  const done: unknown[] = [];
  const { element, update } = makeStart(
    { look: (cell) => done.push(cell), recolor: (metric) => done.push(metric) },
    new AbortController().signal,
  );
  const state = {
    ...{ live: true, hasText: false, cellValues: null, ranking: null, metrics },
    word: (cell: number) => `cell${cell}`,
    ...more,
  };
  update(state);
  return { element, update, state, done, buttons: () => [...element.querySelectorAll("button")] };
}

describe("the start of the panel", () => {
  it("says what to do, and that a text can be typed where the model reads one", () => {
    expect(startOf().element.textContent).toContain("Click a head");
    const text = (hasText: boolean) =>
      startOf({ hasText }).element.querySelectorAll("p:not([hidden])").length;
    expect(text(true)).toBe(text(false) + 1);
    expect(startOf({ live: false }).element.textContent).toContain("There is no kernel");
  });

  it("lists the strongest heads, and looks at the one that is clicked", () => {
    const { element, buttons, done } = startOf({ cellValues: values, ranking: rankingOf(values, cells) });
    expect(element.textContent).toContain("Largest copying score");
    expect(buttons().map((node) => node.textContent)).toEqual(["cell4−0.800", "cell50.400", "cell30.200"]);
    buttons()[1]!.click();
    expect(done).toEqual([5]);
  });

  it("offers the metrics while nothing is colored, and none without a kernel", () => {
    const { buttons, done } = startOf();
    buttons()[0]!.click();
    expect(done).toEqual(["copying"]);
    expect(startOf({ live: false }).buttons()).toEqual([]);
  });
});
