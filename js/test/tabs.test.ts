import { describe, expect, it } from "vitest";
import { makeTabs, tabFor } from "../src/tabs";
import { stacked } from "./plans";

const STACKS = stacked().stacks;
const TALLIES = [
  { on: 2, partial: 1 },
  { on: 0, partial: 0 },
];

function tabsOf() {
  const panel = document.createElement("div");
  const shown: string[] = [];
  const tabs = makeTabs(panel, (stack) => shown.push(stack), new AbortController().signal);
  document.body.replaceChildren(tabs.element, panel);
  return { tabs, panel, shown, nodes: () => [...tabs.element.querySelectorAll<HTMLElement>("[role=tab]")] };
}

describe("the tabs", () => {
  it("are not there without a choice", () => {
    const { tabs, panel, nodes } = tabsOf();
    tabs.update(STACKS, "enc", TALLIES);
    tabs.update([], "", []);
    expect([nodes().length, tabs.element.hidden, panel.hasAttribute("role")]).toEqual([0, true, false]);
  });

  it("show and say how much is selected in each stack", () => {
    const { tabs, nodes } = tabsOf();
    tabs.update(STACKS, "dec", TALLIES);
    expect(nodes().map((node) => node.querySelector(".hg-count")!.textContent)).toEqual(["3", ""]);
    expect(nodes().map((node) => node.ariaLabel)).toEqual([
      "encoder, 3 cells selected, 1 of them partly",
      "decoder, nothing selected",
    ]);
    expect(nodes()[0]!.title).toBe("the encoder; 3 cells selected, 1 of them partly");
  });

  it("are one stop of the Tab key, at the one that is shown", () => {
    const { tabs, panel, nodes } = tabsOf();
    tabs.update(STACKS, "dec", TALLIES);
    expect(nodes().map((node) => node.tabIndex)).toEqual([-1, 0]);
    expect(nodes().map((node) => node.ariaSelected)).toEqual(["false", "true"]);
    expect(panel.getAttribute("aria-labelledby")).toBe(nodes()[1]!.id);
    expect(nodes()[0]!.getAttribute("aria-controls")).toBe(panel.id);
  });

  it("are switched by a click", () => {
    const { tabs, shown, nodes } = tabsOf();
    tabs.update(STACKS, "enc", TALLIES);
    nodes()[1]!.click();
    expect(shown).toEqual(["dec"]);
  });

  it("are switched by the arrow keys, which go round, and keep these keys from the notebook", () => {
    const { tabs, shown, nodes } = tabsOf();
    tabs.update(STACKS, "enc", TALLIES);
    let escaped = 0;
    document.body.addEventListener("keydown", () => escaped++);
    nodes()[0]!.focus();
    for (const key of ["ArrowLeft", "ArrowRight", "End", "d"])
      document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    expect(shown).toEqual(["dec", "enc", "dec"]);
    expect(escaped).toBe(0);
    for (const node of nodes()) expect(node.getAttribute("data-lm-suppress-shortcuts")).toBe("true");
  });

  it("leave other keys alone", () => {
    expect(tabFor("ArrowDown", 0, 3)).toBeNull();
    expect(tabFor("Home", 2, 3)).toBe(0);
  });
});
