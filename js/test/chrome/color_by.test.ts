import { describe, expect, it } from "vitest";
import { type ColorState, chosenOf, makeColorBy } from "../../src/chrome/color_by";
import { readValues } from "../../src/model/cell_values";
import { colors } from "../fixtures";
import { small } from "../specs";

const cells = small();
const valuesOf = (more = {}) => readValues(colors(Array(cells.count).fill(0.5), more), cells)!;
const metrics = [
  { name: "copying", label: "copying score", help: "how much it copies", live: false },
  { name: "norm", label: "OV norm", help: "", live: false },
];
const state = (more: Partial<ColorState> = {}): ColorState => ({
  metrics,
  cellValues: null,
  metric: "",
  error: "",
  progress: { label: "", done: 0, total: 0 },
  live: true,
  patterns: { isThere: false, isOn: false, note: "" },
  ...more,
});

function menuOf() {
  const sent: string[] = [];
  const events = {
    recolor: (metric: string) => sent.push(metric),
    patterns: (on: boolean) => sent.push(`patterns ${on}`),
  };
  const colorBy = makeColorBy(events, new AbortController().signal);
  const [drawing, menu] = [...colorBy.element.querySelectorAll("select")] as [
    HTMLSelectElement,
    HTMLSelectElement,
  ];
  return {
    ...colorBy,
    sent,
    menu,
    drawing,
    shown: () => menu.querySelectorAll("option")[menu.selectedIndex]?.textContent,
    pick: (metric: string) => {
      menu.value = metric;
      menu.dispatchEvent(new Event("change"));
    },
  };
}

describe("the menu of colors", () => {
  it("stands on the metric, and on the user's own values where these are none", () => {
    expect(chosenOf(state({ metric: "norm" }))).toBe("norm");
    expect(chosenOf(state({ metric: "copying", cellValues: valuesOf() }))).toBe("copying");
    expect(chosenOf(state({ metric: "", cellValues: valuesOf({ metric: "" }) }))).not.toBe("");
    expect(chosenOf(state({ error: "NaN" }))).toBe("");
  });

  it("has the progress of what is computed between the menu and its error, and stops it", () => {
    const { element, update, sent } = menuOf();
    const bar = element.querySelector<HTMLElement>(".hg-progress")!;
    expect([[...element.children].indexOf(bar), bar.hidden]).toEqual([2, true]);
    update(state({ metric: "norm", progress: { label: "reading every head", done: 1, total: 3 } }));
    expect(bar.hidden).toBe(false);
    bar.querySelector("button")!.click();
    expect(sent).toEqual([""]);
  });

  it("keeps the focus when the kernel goes, and then has nothing to choose", () => {
    const { element, update, menu, shown } = menuOf();
    document.body.replaceChildren(element);
    update(state({ metric: "norm" }));
    menu.focus();
    update(state({ metric: "norm", live: false }));
    expect([menu.disabled, menu.getAttribute("aria-disabled"), document.activeElement]).toEqual([
      false,
      "true",
      menu,
    ]);
    expect([menu.options.length, shown()]).toEqual([1, "OV norm"]);
    update(state({ metric: "norm" }));
    expect([menu.options.length, menu.getAttribute("aria-disabled")]).toEqual([3, "false"]);
  });

  it("is hidden where nothing can be read", () => {
    const { element, update } = menuOf();
    update(state({ metrics: [] }));
    expect(element.hidden).toBe(true);
  });

  it("asks for a metric, and stays on it until other colors are there", () => {
    const { sent, pick, update, shown } = menuOf();
    update(state());
    expect(shown()).toBe("none");
    pick("norm");
    update(state({ metric: "norm" }));
    expect([sent, shown()]).toEqual([["norm"], "OV norm"]);
    update(state({ metric: "copying", cellValues: valuesOf({ metric: "copying" }) }));
    expect(shown()).toBe("copying score");
  });

  it("lists an array of the user's own, which cannot be asked for", () => {
    const { sent, pick, update, shown, menu } = menuOf();
    update(state({ cellValues: valuesOf({ metric: "", label: "my scores" }) }));
    expect(shown()).toBe("(my scores)");
    pick(menu.value);
    expect(sent).toEqual([]);
    update(state());
    expect(menu.options).toHaveLength(3);
  });

  it("stays in sight while its work is shown beside it", () => {
    const { element, update } = menuOf();
    const progress = { label: "reading every head", done: 3, total: 12 };
    update(state({ metrics: [], progress }));
    expect(element.hidden).toBe(false);
    update(state({ metrics: [], progress, live: false }));
    expect(element.hidden).toBe(true);
  });

  it("stands on none again once a scan was stopped, here or in another view", () => {
    const { pick, update, shown } = menuOf();
    update(state());
    pick("norm");
    update(state({ metric: "norm", progress: { label: "reading every head", done: 3, total: 12 } }));
    update(state({ metric: "" }));
    expect(shown()).toBe("none");
  });

  it("says why there are no colors", () => {
    const { element, update } = menuOf();
    update(state({ error: "W_O has NaN." }));
    expect(element.querySelector(".hg-error")!.textContent).toBe("W_O has NaN.");
  });

  it("has what is of the text under a heading of its own", () => {
    const { update, menu, pick, sent } = menuOf();
    update(state({ metrics: [{ name: "effect", label: "effect", help: "", live: true }, ...metrics] }));
    expect([...menu.options].map(({ text }) => text)).toEqual(["none", "copying score", "OV norm", "effect"]);
    expect(menu.querySelector("optgroup")!.label).toBe("on this text");
    expect(menu.querySelector("optgroup")!.textContent).toBe("effect");
    pick("effect");
    expect(sent).toEqual(["effect"]);
  });
});

describe("the menu of what cells show", () => {
  it("is there where the model can be run, whether or not there are metrics", () => {
    const { element, update, drawing } = menuOf();
    update(state());
    expect(drawing.closest("label")!.hidden).toBe(true);
    update(state({ metrics: [], patterns: { isThere: true, isOn: true, note: "of 41 tokens" } }));
    expect([element.hidden, drawing.closest("label")!.hidden, drawing.value]).toEqual([
      ...[false, false],
      "patterns",
    ]);
    expect(element.querySelector(".hg-patterns-note")!.textContent).toBe("of 41 tokens");
  });

  it("asks for patterns, and for none of them", () => {
    const { update, drawing, sent } = menuOf();
    update(state({ patterns: { isThere: true, isOn: false, note: "" } }));
    for (const value of ["patterns", ""]) {
      drawing.value = value;
      drawing.dispatchEvent(new Event("change"));
    }
    expect(sent).toEqual(["patterns true", "patterns false"]);
  });
});
