import { beforeEach, describe, expect, it } from "vitest";
import { type InspectorContent, makeInspector } from "../../src/inspector/inspector";
import { nearestTab, tabsOf } from "../../src/inspector/tab_choice";
import { newView } from "../../src/model/view";
import { circuit, summary } from "../fixtures";
import { small } from "../specs";

const content = (more: Partial<InspectorContent> = {}): InspectorContent => ({
  asked: { title: "l0h1", name: "layer 0 head 1" },
  summary: summary(),
  heads: null,
  rows: null,
  cell: 4,
  note: "",
  ln: "folded",
  hasNorms: true,
  live: true,
  hasBoth: false,
  onText: null,
  ...more,
});
const heads = {
  heads: [{ cell: 4, title: "l0h1", circuits: [circuit()] }],
  n_heads: 2,
  summed: null,
  ln: "folded" as const,
  pending: false,
};

function inspectorOf() {
  const said: string[] = [];
  const events = {
    word: String,
    name: String,
    go: () => {},
    normed: (ln: string) => said.push(ln),
    opened: (tab: string) => said.push(`opened ${tab}`),
    say: (sentence: string) => said.push(sentence),
  };
  const panel = document.createElement("div");
  panel.textContent = "a pattern";
  const { inspector: settings } = newView(small(), "");
  const inspector = makeInspector(
    settings,
    events,
    { element: panel, text: () => "" },
    new AbortController().signal,
  );
  document.body.replaceChildren(inspector.element);
  const all = <T extends HTMLElement>(selector: string) => [
    ...inspector.element.querySelectorAll<T>(selector),
  ];
  return {
    ...inspector,
    said,
    settings,
    tabs: () => all("[role=tab]").map((tab) => tab.firstChild!.textContent),
    shown: () => all("[role=tab]").find((tab) => tab.ariaSelected === "true")?.firstChild?.textContent,
    choose: (k: number) => all("[role=tab]")[k]!.click(),
    body: () => all(".hg-body")[0]!,
    radio: (name: string) =>
      all<HTMLInputElement>("input[type=radio]").find((r) => r.getAttribute("aria-label") === name)!,
  };
}

describe("the tab to show", () => {
  it("is the one that was chosen, or else the cell's own that is most like it", () => {
    expect(nearestTab("qk", ["ov", "qk", "weights"])).toBe("qk");
    expect(nearestTab("ov", ["mlp", "weights", "selected"])).toBe("mlp");
    expect(nearestTab("composition", ["mlp", "weights"])).toBe("mlp");
    expect(nearestTab("qk", ["weights", "selected"])).toBe("weights");
    expect(nearestTab("selected", ["ov", "qk", "weights"])).toBe("ov");
    expect(nearestTab("ov", ["selected"])).toBe("selected");
    expect(nearestTab("ov", [])).toBe("");
  });

  it("is one of those that the cell has, the weights, and the selected heads", () => {
    expect(tabsOf(summary(), 2).map(({ label, count }) => [label, count])).toEqual([
      ["OV", undefined],
      ["Composition", undefined],
      ["Weights", undefined],
      ["Selected", "2"],
    ]);
    expect(tabsOf(null, 1)).toEqual([]);
  });
});

describe("the inspector", () => {
  let inspector: ReturnType<typeof inspectorOf>;
  beforeEach(() => {
    inspector = inspectorOf();
  });

  it("keeps the chosen tab over cells that lack it", () => {
    inspector.update(content());
    inspector.choose(1);
    expect(inspector.shown()).toBe("Composition");
    inspector.update(content({ summary: summary({ tabs: [], circuits: [] }) }));
    expect([inspector.tabs(), inspector.shown()]).toEqual([["Weights"], "Weights"]);
    inspector.update(content());
    expect(inspector.shown()).toBe("Composition");
  });

  it("begins with the tab of a text where a head has one, which is shown once it is asked for", () => {
    inspector.update(content({ onText: { isFirst: false, isBusy: false } }));
    expect([inspector.tabs(), inspector.shown()]).toEqual([["Live", "OV", "Composition", "Weights"], "OV"]);
    inspector.update(content({ onText: { isFirst: true, isBusy: true } }));
    expect([inspector.shown(), inspector.body().textContent, inspector.body().ariaBusy]).toEqual([
      ...["Live", "a pattern", "true"],
    ]);
    inspector.choose(1);
    expect([inspector.shown(), inspector.said]).toEqual(["OV", ["opened ov"]]);
    inspector.choose(0);
    inspector.update(content({ summary: summary({ tabs: [], circuits: [] }) }));
    expect(inspector.shown()).toBe("Weights");
  });

  it("names the new cell at once, is busy, and keeps the last answer until the next one is there", () => {
    inspector.update(content());
    const before = inspector.body().textContent;
    inspector.update(content({ asked: { title: "l1h2", name: "layer 1 head 2" }, summary: null }));
    expect(inspector.element.textContent).toContain("l1h2");
    expect(inspector.body().textContent).toContain(before);
    expect([inspector.body().ariaBusy, inspector.element.className]).toEqual([
      "true",
      "hg-inspector hg-stale",
    ]);
  });

  it("is busy in the tabs that are still to come, and in no other", () => {
    inspector.update(content({ summary: summary({ circuits: [], pending: ["ov"] }) }));
    expect(inspector.body().ariaBusy).toBe("true");
    expect(inspector.body().textContent).toBe("Reading the weights…");
    inspector.choose(2);
    expect(inspector.body().ariaBusy).toBe("false");
    expect(inspector.body().textContent).toContain("h.0.q.weight");
  });

  it("does not wait for what a kernel that has ended cannot read any more", () => {
    inspector.update(content({ summary: summary({ circuits: [], pending: ["ov"] }), live: false }));
    expect(inspector.body().ariaBusy).toBe("false");
    expect(inspector.body().textContent).toBe(
      "The kernel ended before all of this was read; a running one can read it.",
    );
  });

  it("does not show another cell's answer once none can come", () => {
    inspector.update(content());
    const asked = { title: "l1h2", name: "layer 1 head 2" };
    inspector.update(content({ asked, summary: null }));
    inspector.update(content({ asked, summary: null, live: false }));
    expect([inspector.body().hidden, inspector.element.className]).toEqual([true, "hg-inspector"]);
    expect(inspector.element.querySelector("p")!.textContent).toContain("were not read");
  });

  it("leaves alone what did not change when more is known", () => {
    inspector.update(content({ summary: summary({ pending: ["composition"] }) }));
    const before = inspector.body().firstChild;
    inspector.update(content());
    expect(inspector.body().firstChild).toBe(before);
  });

  it("turns all directions to their other side", () => {
    inspector.update(content());
    expect(inspector.body().textContent).toContain("·the");
    const minus = inspector.radio("negative side");
    minus.checked = true;
    minus.dispatchEvent(new Event("change"));
    expect(inspector.body().textContent).toContain("not the");
    expect(inspector.settings.sign).toBe(-1);
  });

  it("asks for the other norms, and shows those that Python answered", () => {
    inspector.update(content());
    const raw = inspector.radio("raw weights");
    raw.checked = true;
    raw.dispatchEvent(new Event("change"));
    expect(inspector.said).toEqual(["raw"]);
    inspector.update(content({ live: false }));
    expect([raw.checked, raw.disabled]).toEqual([false, true]);
  });

  it("shows the rest of a panel beside what could not be computed", () => {
    const circuits = [circuit({ error: "This model has no unembedding." }), circuit({ title: "l0h1 again" })];
    inspector.update(content({ summary: summary({ circuits }) }));
    expect(inspector.body().textContent).toContain("This model has no unembedding.");
    expect(inspector.body().querySelectorAll(".hg-directions")).toHaveLength(2);
  });

  it("explains an unclear direction once, under the table", () => {
    inspector.update(content());
    expect(inspector.body().querySelectorAll("abbr")).toHaveLength(1);
    expect(inspector.body().textContent!.match(/any rotation/g)).toHaveLength(1);
  });

  it("describes every score where a pointer is not needed", () => {
    inspector.update(content());
    const term = inspector.body().querySelector("dt")!;
    const id = term.getAttribute("aria-describedby")!;
    expect(inspector.body().querySelector(`#${id}`)!.textContent).toBe("How much it copies.");
  });

  it("shows the selected heads where no cell was asked about", () => {
    inspector.update(content({ asked: null, summary: null, heads }));
    expect([inspector.tabs(), inspector.shown()]).toEqual([["Selected"], "Selected"]);
    expect(inspector.body().textContent).toContain("The first 1 of 2 selected heads are shown.");
  });

  it("keeps its keys from the notebook, but not Tab", () => {
    inspector.update(content());
    const escaped: string[] = [];
    document.body.addEventListener("keydown", (event) => escaped.push(event.key));
    for (const key of ["d", "Tab"])
      inspector.body().dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    expect(escaped).toEqual(["Tab"]);
  });
});
