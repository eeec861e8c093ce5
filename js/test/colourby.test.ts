import { describe, expect, it } from "vitest";
import { type ColourState, chosenOf, makeColourBy } from "../src/colourby";
import { makeLegend, ticksOf } from "../src/legend";
import { readShades } from "../src/shades";
import { colours } from "./fixtures";
import { small } from "./plans";

const cells = small();
const shadesOf = (more = {}) => readShades(colours(Array(cells.count).fill(0.5), more), cells)!;
const metrics = [
  { name: "copying", label: "copying score", help: "how much it copies" },
  { name: "norm", label: "OV norm", help: "" },
];
const state = (more: Partial<ColourState> = {}): ColourState => ({
  metrics,
  shades: null,
  asked: "",
  error: "",
  progress: { label: "", done: 0, total: 0 },
  live: true,
  ...more,
});

function menuOf() {
  const sent: string[] = [];
  const colourBy = makeColourBy((metric) => sent.push(metric), new AbortController().signal);
  const menu = colourBy.element.querySelector("select")!;
  return {
    ...colourBy,
    sent,
    menu,
    shown: () => menu.querySelectorAll("option")[menu.selectedIndex]?.textContent,
    pick: (metric: string) => {
      menu.value = metric;
      menu.dispatchEvent(new Event("change"));
    },
    stop: () => colourBy.element.querySelector("button")!,
  };
}

describe("the menu of colours", () => {
  it("stands on what is shown, or else on what was asked for", () => {
    expect(chosenOf(state({ asked: "norm" }))).toBe("norm");
    expect(chosenOf(state({ asked: "norm", shades: shadesOf() }))).toBe("copying");
    expect(chosenOf(state({ asked: "norm", error: "NaN" }))).toBe("");
  });

  it("keeps the focus when the kernel goes, and then has nothing to choose", () => {
    const { element, update, menu, shown } = menuOf();
    document.body.replaceChildren(element);
    update(state({ asked: "norm" }));
    menu.focus();
    update(state({ asked: "norm", live: false }));
    expect([menu.disabled, menu.getAttribute("aria-disabled"), document.activeElement]).toEqual([
      false,
      "true",
      menu,
    ]);
    expect([menu.options.length, shown()]).toEqual([1, "OV norm"]);
    update(state({ asked: "norm" }));
    expect([menu.options.length, menu.getAttribute("aria-disabled")]).toEqual([3, "false"]);
  });

  it("takes the focus of the button that goes when the work is done", () => {
    const { element, update, menu, stop } = menuOf();
    document.body.replaceChildren(element);
    const progress = { label: "reading", done: 1, total: 3 };
    update(state({ progress }));
    stop().focus();
    update(state());
    expect(document.activeElement).toBe(menu);
  });

  it("is hidden where nothing can be read", () => {
    const { element, update } = menuOf();
    update(state({ metrics: [] }));
    expect(element.hidden).toBe(true);
  });

  it("asks for a metric, and stays on it until other colours are there", () => {
    const { sent, pick, update, shown } = menuOf();
    update(state());
    expect(shown()).toBe("none");
    pick("norm");
    update(state({ asked: "norm" }));
    expect([sent, shown()]).toEqual([["norm"], "OV norm"]);
    update(state({ asked: "norm", shades: shadesOf({ metric: "copying" }) }));
    expect(shown()).toBe("copying score");
  });

  it("lists an array of the user's own, which cannot be asked for", () => {
    const { sent, pick, update, shown, menu } = menuOf();
    update(state({ shades: shadesOf({ metric: "", label: "my scores" }) }));
    expect(shown()).toBe("(my scores)");
    pick(menu.value);
    expect(sent).toEqual([]);
    update(state());
    expect(menu.options).toHaveLength(3);
  });

  it("shows how far a scan is, and stops it", () => {
    const { element, sent, stop, update } = menuOf();
    update(state());
    expect(element.querySelector<HTMLElement>(".hg-work")!.hidden).toBe(true);
    update(state({ progress: { label: "reading every head", done: 3, total: 12 } }));
    expect(element.querySelector("progress")!.getAttribute("value")).toBe("3");
    expect(element.textContent).toContain("reading every head3 of 12");
    stop().click();
    expect(sent).toEqual([""]);
  });

  it("shows no work that a kernel does no more", () => {
    const { element, update } = menuOf();
    update(state({ progress: { label: "reading every head", done: 3, total: 12 }, live: false }));
    expect(element.querySelector<HTMLElement>(".hg-work")!.hidden).toBe(true);
  });

  it("stands on none again once a scan was stopped, here or in another view", () => {
    const { pick, update, shown } = menuOf();
    update(state());
    pick("norm");
    update(state({ asked: "norm", progress: { label: "reading every head", done: 3, total: 12 } }));
    update(state({ asked: "" }));
    expect(shown()).toBe("none");
  });

  it("says why there are no colours", () => {
    const { element, update } = menuOf();
    update(state({ error: "W_O has NaN." }));
    expect(element.querySelector("[role=status]")!.textContent).toBe("W_O has NaN.");
  });
});

describe("the legend", () => {
  it("has the ends of the scale, and zero where the scale has two sides", () => {
    expect(ticksOf(shadesOf())).toEqual(["−1.00", "0", "1.00"]);
    expect(ticksOf(shadesOf({ diverging: false, low: 2 }))).toEqual(["2.00", "1.00"]);
  });

  it("says what is shown and how, and is gone without colours", () => {
    const { element, update } = makeLegend();
    update(shadesOf({ ln: "raw" }), "light");
    expect(element.textContent).toContain("copying score");
    expect(element.textContent).toContain("raw weights");
    update(null, "light");
    expect(element.hidden).toBe(true);
  });

  it("has no scale where no cell has a value", () => {
    const { element, update } = makeLegend();
    const ramp = element.querySelector<HTMLElement>(".hg-ramp")!;
    update(shadesOf(), "light");
    expect(ramp.hidden).toBe(false);
    update(readShades(colours(Array(cells.count).fill(Number.NaN)), cells), "light");
    expect([ramp.hidden, element.textContent]).toEqual([true, expect.stringContaining("no value")]);
  });
});
