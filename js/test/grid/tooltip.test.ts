import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { toWire } from "../../dev/bytes";
import {
  detailOf,
  makeTooltip,
  neighborhood,
  placed,
  type TooltipContent,
  tooltipOf,
} from "../../src/grid/tooltip";
import { assign, empty } from "../../src/model/bits";
import type { CellValues } from "../../src/model/cell_values";
import { readSpec } from "../../src/model/cells";
import { arrow } from "../fixtures";
import { on, specOf } from "../specs";

/** 2 layers of 3 heads, whose cells have tooltips; head 1 of layer 0 is absent. */
const viewFocus = () => {
  const spec = specOf(2, 3, 1, [4]);
  spec.tooltips = [
    { shapes: ["w 28"], count: 28, shared: 0, note: "" },
    {
      shapes: ["W_Q, W_K, W_V 28 x 7", "W_O 7 x 28"],
      count: 1784,
      shared: 410,
      note: "3 heads share W_K and W_V",
    },
    { shapes: ["sink 1"], count: 1, shared: 0, note: "" },
  ];
  Object.assign(spec.bands[1]!, {
    tooltips: [
      [0, 1, -1, 1, 0],
      [0, 2, 1, 1, 0],
    ],
  });
  spec.bands[1]!.rows[1]!.tooltip = 1;
  spec.zero = toWire(assign(empty(13), [3], true));
  return readSpec(spec);
};
const cells = viewFocus();
const none = empty(cells.count);
const head = (row: number, h: number) => ({ band: 1, row, column: 1 + h });
const cellValues = (values: Record<number, number>): CellValues =>
  ({
    label: "copying score",
    values: Float32Array.from({ length: cells.count }, (_, n) => values[n] ?? Number.NaN),
  }) as CellValues;
const saved = (name: string, ...members: number[]) => ({
  name,
  text: "",
  counts: "",
  color: "#d55e00",
  cells: toWire(on(cells, ...members)),
});

describe("what a tooltip says", () => {
  it("is the address, the state, the shapes and the parameters of a cell", () => {
    expect(tooltipOf(cells, head(1, 1), on(cells, 9), none, null, [])).toEqual({
      cell: 9,
      word: "l1h1",
      name: "layer 1 head 1",
      state: ["selected"],
      shapes: ["W_Q, W_K, W_V 28 x 7", "W_O 7 x 28"],
      count: "1,784 parameters",
      note: "3 heads share W_K and W_V",
      value: "",
      place: "",
      carried: [],
      saved: [],
    });
  });

  it("is what the arrows at a cell were found to carry on the task", () => {
    const arrows = [
      { ...arrow(4, 9, 8, "K"), carries: -1.49, stands_out: true },
      { ...arrow(9, 4, 8, "V"), carries: 0.02 },
      arrow(5, 9, 8, "Q"),
      { ...arrow(3, 5, 8, "Q"), carries: 1 },
    ];
    expect(tooltipOf(cells, head(1, 1), none, none, null, [], arrows)!.carried).toEqual([
      "K from l0h1 carries −1.49 of the metric, more than every random write as large",
      "V to l0h1 carries 0.0200 of the metric, as random writes do",
    ]);
  });

  it("tells layers apart by the tooltip of their row", () => {
    expect(tooltipOf(cells, head(1, 0), none, on(cells, 8), null, [])).toMatchObject({
      state: ["partly selected"],
      shapes: ["sink 1"],
      count: "1 parameter",
    });
  });

  it("tells of output weights that are all zero", () => {
    expect(tooltipOf(cells, head(0, 0), none, none, null, [])?.state).toEqual([
      "not selected",
      "its output weights are zero",
    ]);
  });

  it("has the number that the cell is colored by", () => {
    expect(tooltipOf(cells, head(1, 1), none, none, cellValues({ 9: 0.71 }), [])?.value).toBe(
      "copying score 0.710",
    );
    expect(tooltipOf(cells, head(1, 2), none, none, cellValues({}), [])?.value).toBe(
      "copying score: no value",
    );
  });

  it("names the saved selections that have some of the cell", () => {
    const all = [saved("induction", 9, 2), saved("other", 3), saved("<b>", 9)];
    const tooltip = tooltipOf(cells, head(1, 1), none, none, null, all);
    expect(tooltip?.saved.map(({ name }) => name)).toEqual(["induction", "<b>"]);
    expect(detailOf(tooltip!)).toBe(
      "1,784 parameters; W_Q, W_K, W_V 28 x 7; W_O 7 x 28; 3 heads share W_K and W_V; saved as induction, <b>",
    );
  });

  it("is nothing for headers and for cells that are absent", () => {
    expect(tooltipOf(cells, { band: 1, row: -1, column: 2 }, none, none, null, [])).toBeNull();
    expect(tooltipOf(cells, { band: 1, row: 0, column: -2 }, none, none, null, [])).toBeNull();
    expect(tooltipOf(cells, head(0, 1), none, none, null, [])).toBeNull();
  });

  it("does without the specs' tooltips, as a spec of an older version has it", () => {
    const older = readSpec(specOf(2, 3));
    expect(tooltipOf(older, head(0, 1), none, none, null, [])).toMatchObject({
      word: "l0h1",
      shapes: [],
      count: "",
    });
  });
});

describe("where a tooltip stands", () => {
  const room = { left: 0, top: 0, right: 500, bottom: 300 };
  const at = (x: number, y: number) => ({ left: x, top: y, right: x + 20, bottom: y + 20 });

  it("covers no neighbor of its cell, on whichever side it stands", () => {
    for (const [x, y] of [
      [40, 50],
      [400, 50],
      [40, 240],
      [400, 240],
    ] as const) {
      const cell = at(x, y);
      const [left, top] = placed(neighborhood(cell), 120, 60, room);
      const [wide, tall] = [cell.right - cell.left, cell.bottom - cell.top];
      const beside = left >= cell.right + wide || left + 120 <= cell.left - wide;
      expect([x, y, beside || top >= cell.bottom + tall || top + 60 <= cell.top - tall]).toEqual([
        x,
        y,
        true,
      ]);
    }
  });

  it("is below and to the right of its cell", () => {
    expect(placed(at(40, 50), 200, 100, room)).toEqual([70, 80]);
  });

  it("is on the other side at the edges", () => {
    expect(placed(at(400, 50), 200, 100, room)).toEqual([190, 80]);
    expect(placed(at(40, 250), 200, 100, room)).toEqual([70, 140]);
  });

  it("is never over its cell where there is room at the left or at the right of it", () => {
    const [left, top] = placed(at(40, 50), 200, 290, { ...room, bottom: 120 });
    expect(left).toBeGreaterThan(60);
    expect(top).toBe(0);
  });
});

describe("the tooltip", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    document.body.replaceChildren();
  });

  const box = { left: 10, top: 10, right: 30, bottom: 30 };
  const content = (cell: number, more: Partial<TooltipContent> = {}): TooltipContent => ({
    ...tooltipOf(cells, head(1, 1), none, none, null, [])!,
    cell,
    ...more,
  });
  const setUp = () => {
    const life = new AbortController();
    const tooltip = makeTooltip(life.signal);
    const root = document.createElement("div");
    root.append(tooltip.element);
    document.body.append(root);
    const rest = (cell: number, after = 400) => {
      tooltip.show(box, content(cell));
      vi.advanceTimersByTime(after);
    };
    return { tooltip, root, rest, life, hidden: () => tooltip.element.hidden };
  };

  it("comes once the pointer rests, and goes as it leaves", () => {
    const { tooltip, rest, hidden } = setUp();
    rest(9, 300);
    expect(hidden()).toBe(true);
    vi.advanceTimersByTime(100);
    expect([hidden(), tooltip.element.getAttribute("aria-hidden")]).toEqual([false, "true"]);
    expect(tooltip.element.querySelector("code")!.textContent).toBe("l1h1");
    tooltip.show(null, null);
    expect(hidden()).toBe(true);
  });

  it("comes at once with a lens, which it paints once for a cell that stays as it is", () => {
    const { tooltip, hidden } = setUp();
    let painted = 0;
    const picture = () => {
      painted++;
      return { lens: document.createElement("canvas") };
    };
    for (let k = 0; k < 3; k++) tooltip.show(box, content(9), picture);
    vi.advanceTimersByTime(1);
    tooltip.show(box, content(9), picture);
    expect([hidden(), painted, tooltip.element.querySelectorAll("canvas").length]).toEqual([false, 1, 1]);
    tooltip.show(box, content(9, { state: ["selected"] }), picture);
    expect(painted).toBe(2);
  });

  it("leaves Escape to the grid where keys brought it", () => {
    const { tooltip, root } = setUp();
    let heard = 0;
    root.addEventListener("keydown", () => heard++);
    const pressEscape = () =>
      root.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, composed: true }));
    for (const byKeys of [true, false]) {
      tooltip.show(null, null);
      tooltip.show(box, content(9), () => ({ lens: document.createElement("canvas") }), byKeys);
      vi.advanceTimersByTime(1);
      pressEscape();
      expect([byKeys, heard]).toEqual([byKeys, 1]);
    }
  });

  it("does not come for a pointer that moves on", () => {
    const { rest, hidden } = setUp();
    for (const cell of [7, 8, 9]) rest(cell, 200);
    expect(hidden()).toBe(true);
    vi.advanceTimersByTime(200);
    expect(hidden()).toBe(false);
  });

  it("comes soon on the next cell", () => {
    const { rest, hidden } = setUp();
    rest(8);
    rest(9, 100);
    expect(hidden()).toBe(true);
    vi.advanceTimersByTime(50);
    expect(hidden()).toBe(false);
  });

  it.each(["pointerdown", "wheel", "scroll"])("goes on %s, and comes back on another cell only", (type) => {
    const { tooltip, rest, hidden } = setUp();
    rest(8);
    window.dispatchEvent(new Event(type));
    expect(hidden()).toBe(true);
    rest(8);
    expect(hidden()).toBe(true);
    rest(9);
    expect(hidden()).toBe(false);
    tooltip.show(null, null);
  });

  it("is what Escape takes away first, in its own view", () => {
    const { root, rest, hidden } = setUp();
    const heard: string[] = [];
    root.addEventListener("keydown", () => heard.push("view"));
    document.body.addEventListener("keydown", () => heard.push("page"));
    const dismiss = (node: Element) =>
      node.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, composed: true }));
    rest(8);
    dismiss(root);
    expect([hidden(), heard]).toEqual([true, []]);
    dismiss(root);
    expect(heard).toEqual(["view", "page"]);
    rest(9);
    dismiss(document.body);
    expect([hidden(), heard.at(-1), heard.length]).toEqual([true, "page", 3]);
  });

  it("follows what becomes of its cell while it is shown", () => {
    const { tooltip, rest } = setUp();
    rest(8);
    tooltip.show(box, content(8, { state: ["selected"] }));
    expect(tooltip.element.textContent).toContain("1selected");
  });

  it("never reads names as HTML, nor colors as styles", () => {
    const { tooltip } = setUp();
    tooltip.show(box, content(8, { saved: [{ name: "<i>x</i>", color: "red;position:fixed" }] }));
    vi.advanceTimersByTime(400);
    expect(tooltip.element.textContent).toContain("<i>x</i>");
    expect(tooltip.element.querySelector<HTMLElement>(".hg-saved-in i")!.style.position).toBe("");
  });

  it("leaves no timer and no listener behind", () => {
    const { tooltip, rest, life, hidden } = setUp();
    rest(8, 100);
    life.abort();
    vi.advanceTimersByTime(1000);
    expect(hidden()).toBe(true);
    expect(tooltip.element.childElementCount).toBe(0);
  });
});
