import { describe, expect, it } from "vitest";
import { neighbor } from "../../src/dom/arrow_keys";
import { makeTabs, type TabShape } from "../../src/dom/tabs";

const TABS: TabShape[] = [
  { name: "enc", label: "encoder", count: "3", spoken: "encoder, 3 cells selected", title: "the encoder" },
  { name: "dec", label: "decoder" },
];

function tabsOf() {
  const panel = document.createElement("div");
  const shown: string[] = [];
  const life = new AbortController();
  const tabs = makeTabs("Stacks", panel, (name) => shown.push(name), life.signal);
  document.body.replaceChildren(tabs.element, panel);
  return { tabs, panel, shown, nodes: () => [...tabs.element.querySelectorAll<HTMLElement>("[role=tab]")] };
}

describe("the tabs", () => {
  it("are not there without a choice", () => {
    const { tabs, panel, nodes } = tabsOf();
    tabs.update(TABS, "enc");
    tabs.update([], "");
    expect([nodes().length, tabs.element.hidden, panel.hasAttribute("role")]).toEqual([0, true, false]);
  });

  it("show and say their number", () => {
    const { tabs, nodes } = tabsOf();
    tabs.update(TABS, "dec");
    expect(nodes().map((node) => node.querySelector(".hg-count")!.textContent)).toEqual(["3", ""]);
    expect(nodes()[0]!.ariaLabel).toBe("encoder, 3 cells selected");
    expect(nodes()[0]!.title).toBe("the encoder");
    expect(nodes()[1]!.textContent!.trim()).toBe("decoder");
  });

  it("are one stop of the Tab key, at the one that is shown", () => {
    const { tabs, panel, nodes } = tabsOf();
    tabs.update(TABS, "dec");
    expect(nodes().map((node) => node.tabIndex)).toEqual([-1, 0]);
    expect(nodes().map((node) => node.ariaSelected)).toEqual(["false", "true"]);
    expect(panel.getAttribute("aria-labelledby")).toBe(nodes()[1]!.id);
    expect(nodes()[0]!.getAttribute("aria-controls")).toBe(panel.id);
  });

  it("are switched by a click", () => {
    const { tabs, shown, nodes } = tabsOf();
    tabs.update(TABS, "enc");
    nodes()[1]!.click();
    expect(shown).toEqual(["dec"]);
  });

  it("are switched by the arrow keys, which go round, and keep these keys from the notebook", () => {
    const { tabs, shown, nodes } = tabsOf();
    tabs.update(TABS, "enc");
    let escaped = 0;
    document.body.addEventListener("keydown", () => escaped++);
    nodes()[0]!.focus();
    for (const key of ["ArrowLeft", "ArrowRight", "End", "d"])
      document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    expect(shown).toEqual(["dec", "enc", "dec"]);
    expect(escaped).toBe(0);
    for (const node of nodes()) expect(node.getAttribute("data-lm-suppress-shortcuts")).toBe("true");
  });

  it("stay the same elements while their names do, and pass the focus on when they do not", () => {
    const { tabs, nodes } = tabsOf();
    tabs.update(TABS, "enc");
    const [before] = nodes();
    tabs.update(
      TABS.map((tab) => ({ ...tab, count: "7" })),
      "dec",
    );
    expect(nodes()[0]).toBe(before);
    before!.focus();
    tabs.update([{ name: "dec", label: "decoder" }], "dec");
    expect(document.activeElement).toBe(nodes()[0]);
  });

  it("leave other keys alone", () => {
    expect(neighbor("ArrowDown", 0, 3)).toBeNull();
    expect(neighbor("Home", 2, 3)).toBe(0);
  });
});
