import { describe, expect, it } from "vitest";
import { makeTools, type ToolState } from "../../src/chrome/toolbar";

const STATE: ToolState = {
  live: true,
  looking: false,
  history: { done: 0, undo: 1, redo: 0 },
  zoomed: { canGrow: true, canShrink: false, fits: true },
};

function toolsOf(state: Partial<ToolState> = {}) {
  const did: string[] = [];
  const note = (name: string) => (what?: unknown) => did.push([name, what].filter(Boolean).join(" "));
  const events = {
    ...{ undo: note("undo"), redo: note("redo"), clear: note("clear"), all: note("all") },
    ...{ invert: note("invert"), zoom: note("zoom"), pictures: note("pictures") },
    ...{ look: note("look"), help: () => void did.push("help") },
  };
  const tools = makeTools(events, new AbortController().signal);
  document.body.replaceChildren(tools.element);
  tools.update({ ...STATE, ...state });
  const all = [...tools.element.querySelectorAll("button")];
  const named = (name: string) =>
    all.find((node) => (node.getAttribute("aria-label") ?? node.textContent) === name)!;
  const press = (node: Element, key: string) =>
    node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  return { tools, did, all, named, press };
}

const isOff = (node: Element) => node.getAttribute("aria-disabled") === "true";

describe("the buttons", () => {
  it("do nothing while they are off, say why, and keep the focus", () => {
    const { tools, did, named } = toolsOf();
    named("Undo").focus();
    named("Undo").click();
    tools.update({ ...STATE, history: { done: 1, undo: 0, redo: 1 } });
    named("Undo").click();
    named("Redo").click();
    expect(did).toEqual(["undo", "redo"]);
    expect(document.activeElement).toBe(named("Undo"));
    expect([isOff(named("Undo")), named("Undo").title]).toEqual([
      true,
      "Undo (Ctrl+Z): nothing was done yet",
    ]);
  });

  it("leave only pictures, zoom and help without a kernel", () => {
    const { all, named } = toolsOf({ live: false });
    const on = all.filter((node) => !isOff(node) && node.getAttribute("role") !== "menuitem");
    expect(on).toEqual([
      named("Fit the grid"),
      named("Larger cells"),
      named("Save a picture"),
      named("? Help"),
    ]);
  });

  it("are one stop of the Tab key, and the arrow keys go round", () => {
    const { all, named, press } = toolsOf();
    const stops = () => all.filter((node) => node.tabIndex === 0);
    expect(stops()).toEqual([named("Undo")]);
    named("Undo").focus();
    press(named("Undo"), "ArrowLeft");
    expect(document.activeElement).toBe(named("? Help"));
    expect(stops()).toEqual([named("? Help")]);
    press(named("? Help"), "Home");
    press(named("Undo"), "ArrowRight");
    expect(document.activeElement).toBe(named("Redo"));
  });

  it("have a menu of pictures, which Down opens too", () => {
    const { did, named, press } = toolsOf();
    const opener = named("Save a picture");
    expect([opener.getAttribute("aria-haspopup"), opener.getAttribute("aria-expanded")]).toEqual([
      "menu",
      "false",
    ]);
    press(opener, "ArrowDown");
    opener.click();
    expect(did).toEqual(["pictures", "pictures"]);
  });
});
