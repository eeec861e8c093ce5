import { describe, expect, it } from "vitest";
import { empty } from "../../src/model/bits";
import { numberAt, positionOf, readSpec } from "../../src/model/cells";
import { everything, toggle } from "../../src/model/selection";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "../../src/model/stacks";
import { newView, showStack } from "../../src/model/view";
import { members, on, small, stacked } from "../specs";

const cells = readSpec(stacked());
const none = empty(cells.count);

describe("the stacks", () => {
  it("are no choice where there is one or none", () => {
    const one = readSpec({ ...stacked(), stacks: stacked().stacks.slice(1) });
    expect(one.stacks).toEqual([]);
    expect(cellsOf(one, "dec")).toBe(one);
    expect(cellsOf(small(), "")).toEqual(small());
  });

  it("show their own bands and what all share", () => {
    expect(cellsOf(cells, "dec").first).toEqual([0, 6]);
    expect(cellsOf(cells, "enc").first).toEqual([0, 1, 5]);
  });

  it("hide the bands without a stack's name where that is a stack of its own", () => {
    const spec = stacked();
    const tabs = [spec.stacks[0]!, { name: "", label: "text", title: "" }];
    const vision = readSpec({ ...spec, stacks: tabs });
    expect(cellsOf(vision, "enc").first).toEqual([1, 5, 6]);
    expect(cellsOf(vision, "").first).toEqual([0, 6]);
  });

  it("keep the model's numbers in each of them", () => {
    const decoder = cellsOf(cells, "dec");
    expect(numberAt(decoder, { band: 1, row: 2, column: 1 })).toBe(11);
    expect(positionOf(decoder, 9)).toEqual({ band: 1, row: 1, column: 1 });
    expect(positionOf(decoder, 3)).toBeNull();
    expect(positionOf(decoder, 12)).toBeNull();
  });

  it("keep what is selected in the others", () => {
    const decoder = cellsOf(cells, "dec");
    const after = toggle(decoder, on(cells, 2, 5), { band: 1, row: 0, column: -1 });
    expect(members(cells, after)).toEqual([2, 5, 6, 7]);
    expect(members(cells, everything(decoder)).length).toBe(12);
  });

  it("count what is selected in their own bands", () => {
    expect(tally(cells, "enc", on(cells, 0, 1, 5, 6), on(cells, 2, 7, 8))).toEqual({ on: 2, partial: 1 });
    expect(tally(cells, "dec", on(cells, 0, 1, 5, 6), on(cells, 2, 7, 8))).toEqual({ on: 1, partial: 2 });
  });

  it("say how many cells that is", () => {
    expect(tallyText({ on: 0, partial: 0 })).toBe("nothing selected");
    expect(tallyText({ on: 1, partial: 0 })).toBe("1 cell selected");
    expect(tallyText({ on: 1200, partial: 3 })).toBe("1,203 cells selected, 3 of them partly");
    expect(tallyText({ on: 0, partial: 2 })).toBe("2 cells partly selected");
  });

  it("show and say on their tabs how much is selected in each", () => {
    const tabs = stackTabs(cells, on(cells, 1, 2), on(cells, 3));
    expect(tabs.map(({ count }) => count)).toEqual(["3", ""]);
    expect(tabs.map(({ spoken }) => spoken)).toEqual([
      "encoder, 3 cells selected, 1 of them partly",
      "decoder, nothing selected",
    ]);
    expect(tabs[0]!.title).toBe("the encoder; 3 cells selected, 1 of them partly");
  });

  it("stay as they are while the one shown holds any of the selection", () => {
    expect(stackHolding(cells, "dec", on(cells, 1, 6), none)).toBe("dec");
    expect(stackHolding(cells, "dec", none, none)).toBe("dec");
    expect(stackHolding(cells, "dec", on(cells, 0), none)).toBe("dec");
  });

  it("give way to the first that holds some of it", () => {
    expect(stackHolding(cells, "dec", on(cells, 5), none)).toBe("enc");
    expect(stackHolding(cells, "dec", on(cells, 0), on(cells, 2))).toBe("enc");
    expect(stackHolding(cells, "none of them", none, none)).toBe("enc");
    expect(stackHolding(small(), "", on(small(), 1), empty(13))).toBe("");
  });
});

describe("a view of several stacks", () => {
  it("starts on the first cell of the stack's layers", () => {
    const view = newView(cells, "dec");
    expect(numberAt(view.cells, view.cursor)).toBe(6);
  });

  it("starts on no absent cell", () => {
    const view = newView(small([2]), "");
    expect(view.cursor).toEqual({ band: 1, row: 0, column: 1 });
  });

  it("finds its cursor again in the stack that it comes back to", () => {
    const view = newView(cells, "enc");
    Object.assign(view, { cursor: { band: 1, row: 1, column: 1 }, visited: true, anchor: view.cursor });
    showStack(view, cells, "dec");
    expect([numberAt(view.cells, view.cursor), view.visited, view.anchor]).toEqual([6, false, null]);
    showStack(view, cells, "enc");
    expect([numberAt(view.cells, view.cursor), view.visited]).toEqual([4, true]);
  });
});
