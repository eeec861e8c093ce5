import { beforeEach, describe, expect, it, vi } from "vitest";
import { makeColorBy } from "../../src/chrome/colorby";
import { make } from "../../src/chrome/dom";
import { type Base, makeExtras } from "../../src/chrome/extras";
import { makeQuery } from "../../src/chrome/query";
import { makeTools } from "../../src/chrome/toolbar";
import type { Drawn, Grid } from "../../src/grid/grid";
import { Sync } from "../../src/model/sync";
import { newView } from "../../src/model/view";
import { arrow, colors } from "../fixtures";
import { Host } from "../host";
import { on, small, specOf, text } from "../specs";

const cells = small();
const [L0H0, L0H1] = [3, 4];

function extrasOf() {
  const host = new Host({
    spec: specOf(2, 3),
    cells: on(cells, L0H0, L0H1, 9),
    partial: on(cells),
    text: text({ selection: "l0h0 | l0h1 | l1h1" }),
    saved: {
      items: [{ name: "mine", text: "l0h0", counts: "", color: "#d55e00", cells: on(cells, L0H0) }],
    },
    arrows: { arrows: [arrow(L0H0, 9, 5), arrow(L0H1, 9, 2)], baseline: 0, fence: null, note: "" },
  });
  const sync = new Sync(host);
  const view = newView(sync.cells, "");
  const { signal } = new AbortController();
  sync.follow(signal, () => {});
  const grid = {
    ...{ element: make("div"), focus: vi.fn(), refresh: vi.fn(), recolor: vi.fn(), extend: vi.fn() },
    rectOfSpot: () => new DOMRect(10, 20, 30, 40),
    picture: () => null,
  };
  const announcer = { element: document.body, say: vi.fn(), later: vi.fn(), done: vi.fn(), counted: vi.fn() };
  const query = makeQuery({ ask: () => 1, copy: () => {}, stepped: () => {}, leave: () => {} }, signal);
  const nothing = () => {};
  const tools = makeTools(
    {
      ...{ undo: nothing, redo: nothing, clear: nothing, all: nothing, invert: nothing, zoom: nothing },
      ...{ pictures: () => extras.togglePictures(), help: () => extras.toggleHelp() },
    },
    signal,
  );
  const colorBy = makeColorBy(nothing, signal);
  const [left, legend, saved] = [make("div"), make("div"), make("div")];
  const root = make("div", {}, tools.element, query.element, colorBy.element, saved, legend, left);
  document.body.replaceChildren(root);
  const base: Base = {
    ...{ sync, view, announcer, query, tools, colorBy, root, left, legend, saved },
    commands: { ask: () => 1, step: nothing, done: nothing },
    grid: grid as unknown as Grid,
    looked: () => sync.focus,
    go: nothing,
    normed: nothing,
  };
  const extras = makeExtras(base, signal);
  left.append(extras.element);
  extras.update();
  const tell = (trait: string, value: unknown) => {
    host.tell(trait, value);
    extras.update();
  };
  const drawn = grid.extend.mock.calls[0]![0] as Drawn;
  const find = (selector: string) => root.querySelector<HTMLElement>(selector)!;
  return { host, sync, extras, root, grid, view, announcer, tell, drawn, find, legend };
}

describe("what comes with the second module", () => {
  let made: ReturnType<typeof extrasOf>;
  beforeEach(() => {
    made = extrasOf();
  });

  it("opens the help, before the box, and gives the focus to the grid when it goes", () => {
    const { extras, find, grid } = made;
    extras.toggleHelp();
    const help = find("[role=dialog]");
    expect([help.hidden, help.nextElementSibling?.className]).toEqual([false, "hg-query"]);
    expect(document.activeElement).toBe(help);
    extras.toggleHelp();
    expect([help.hidden, grid.focus.mock.calls.length]).toEqual([true, 1]);
  });

  it("gives the focus back to the button that opened the help, and shows on it that it is open", () => {
    const { find } = made;
    const opener = find("[aria-label='? Help']");
    opener.focus();
    opener.click();
    expect(opener.getAttribute("aria-expanded")).toBe("true");
    find("[aria-label='Close the help']").click();
    expect([document.activeElement, opener.getAttribute("aria-expanded")]).toEqual([opener, "false"]);
  });

  it("leaves the focus where it has gone since the help was opened", () => {
    const { extras, find, grid } = made;
    extras.toggleHelp();
    find("input").focus();
    extras.toggleHelp();
    expect(document.activeElement).toBe(find("input"));
    expect(grid.focus).not.toHaveBeenCalled();
  });

  it("opens the menu of pictures under its button", () => {
    const { extras, find } = made;
    extras.togglePictures();
    expect(find("[aria-label='Save a picture']").getAttribute("aria-expanded")).toBe("true");
    expect(document.activeElement?.textContent).toBe("PNG image");
  });

  it("shows what was saved, and says of the cursor's cell what no card does", () => {
    const { extras, find, view, grid } = made;
    find("[aria-label='Show mine on the grid']").click();
    expect([view.marks, grid.refresh.mock.calls.length]).toEqual([["mine"], 1]);
    expect(extras.point(null, { band: 1, row: 0, column: 1 })).toBe("saved as mine");
    expect(extras.point(null, { band: 1, row: 0, column: 2 })).toBe("");
  });

  it("has the marks of what is saved drawn, and the same ones until they change", () => {
    const { drawn, find, tell, sync } = made;
    const marks = () => drawn(geometry).marks;
    const geometry = { bands: [] } as never;
    made.view.arrows.shown = false;
    expect(marks()).toEqual([]);
    find("[aria-label='Show mine on the grid']").click();
    const first = marks();
    expect(first.map(({ color }) => color)).toEqual(["#d55e00"]);
    expect(marks()).toBe(first);
    tell("saved", { items: sync.saved.map((item) => ({ ...item, color: "#0072b2" })) });
    expect(marks().map(({ color }) => color)).toEqual(["#0072b2"]);
  });

  it("has a row for the arrows, which is gone with the last of them", () => {
    const { find, tell } = made;
    expect(find(".hg-arrows").textContent).toContain("1 of 2");
    expect(find(".hg-arrows").textContent).toContain("z above random is not use. Gray: too few pairs");
    const strong = [arrow(L0H0, 9, 5), arrow(L0H1, 9, 2)];
    tell("arrows", { arrows: strong, baseline: 0, fence: 6, note: "" });
    expect(find(".hg-arrows").textContent).toContain("Gray: as most pairs.");
    tell("arrows", { arrows: strong, baseline: 0, fence: 4, note: "why" });
    expect(find(".hg-arrows .hg-note").textContent).toBe("z above random is not use.");
    expect(find(".hg-arrows .hg-note").title).toBe("why");
    tell("arrows", { arrows: [], baseline: 0, fence: null, note: "" });
    expect(find(".hg-arrows").hidden).toBe(true);
  });

  it("tells what the colors mean, and how far the work on them is", () => {
    const { find, tell, legend } = made;
    expect(find(".hg-work").hidden).toBe(true);
    tell("progress", { label: "reading every head", done: 1, total: 3 });
    expect(find(".hg-work").textContent).toContain("1 of 3");
    tell("colors", colors(Array(cells.count).fill(0.5)));
    expect(legend.textContent).toContain("copying score");
  });

  it("hands the words that Python knows to the box", () => {
    vi.useFakeTimers();
    const { find, host, tell } = made;
    const input = find("input") as HTMLInputElement;
    input.focus();
    input.value = "l1";
    input.setSelectionRange(2, 2);
    input.dispatchEvent(new Event("input"));
    vi.advanceTimersByTime(100);
    vi.useRealTimers();
    const { n } = host.state.complete as { n: number };
    tell("completions", { complete: n, start: 0, end: 2, items: [{ text: "l1h", note: "a head" }] });
    expect([find("[role=listbox]").hidden, find("[role=option]").textContent]).toEqual([false, "l1ha head"]);
  });

  it("copies, and says so on the button for a while", async () => {
    vi.useFakeTimers();
    const { extras, find, announcer } = made;
    const written = vi.fn(async () => {});
    vi.stubGlobal("navigator", { clipboard: { writeText: written } });
    const button = find(".hg-copy");
    extras.copy(button, "l0h0");
    await vi.advanceTimersByTimeAsync(100);
    extras.copy(button, "l0h1");
    await vi.advanceTimersByTimeAsync(1450);
    expect([button.textContent, announcer.say.mock.calls]).toEqual(["Copied", [["copied"], ["copied"]]]);
    await vi.advanceTimersByTimeAsync(100);
    expect([button.textContent, written.mock.calls]).toEqual(["Copy", [["l0h0"], ["l0h1"]]]);
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });
});
