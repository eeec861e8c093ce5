import { beforeEach, describe, expect, it, vi } from "vitest";
import { makeExtras } from "../src/extras";
import type { Grid } from "../src/grid";
import * as panel from "../src/panel";
import type { PanelHost, PanelModule } from "../src/panelhost";
import { Sync } from "../src/sync";
import { newView } from "../src/view";
import { Host } from "./host";
import { on, planOf, small, text } from "./plans";

const cells = small();

function extrasOf() {
  const host = new Host({
    plan: planOf(2, 3),
    cells: on(cells, 3),
    partial: on(cells),
    text: text({ selection: "l0h0" }),
    saved: { items: [{ name: "mine", text: "l0h0", counts: "", colour: "#d55e00", cells: on(cells, 3) }] },
  });
  const sync = new Sync(host);
  const view = newView(sync.cells, "");
  const waiting: ((module: PanelModule) => void)[] = [];
  let there: PanelModule | null = null;
  const late: PanelHost["late"] = (run) => (there ? run(there) : waiting.push(run));
  const arrive = () => {
    there = panel;
    for (const run of waiting) run(there);
  };
  const grid = {
    focus: vi.fn(),
    refresh: vi.fn(),
    extend: vi.fn(),
    rectOfSpot: () => new DOMRect(10, 20, 30, 40),
  };
  const announcer = { element: document.body, say: vi.fn(), later: vi.fn(), done: vi.fn(), counted: vi.fn() };
  const deeds = { ask: () => 1, step: () => {}, done: () => {} };
  const helped = vi.fn();
  const life = new AbortController();
  const extras = makeExtras(
    { late } as PanelHost,
    grid as unknown as Grid,
    sync,
    view,
    deeds,
    announcer,
    helped,
    life.signal,
  );
  const root = document.createElement("div");
  root.append(extras.help, extras.saved, extras.card);
  document.body.replaceChildren(root);
  return { extras, root, arrive, grid, view, life, helped };
}

describe("what comes with the second module", () => {
  let made: ReturnType<typeof extrasOf>;
  beforeEach(() => {
    made = extrasOf();
  });

  it("leaves its places empty until then, and nothing that is asked for is an error", () => {
    const { extras, root } = made;
    extras.update();
    expect(extras.point({ band: 1, row: 0, column: 1 }, null)).toBe("");
    expect(root.textContent).toBe("");
  });

  it("opens the help that was asked for as soon as it is there", () => {
    const { extras, root, arrive } = made;
    extras.toggleHelp();
    arrive();
    const help = root.querySelector("[role=dialog]")!;
    expect(help.hasAttribute("hidden")).toBe(false);
    expect(document.activeElement).toBe(help);
    extras.toggleHelp();
    expect([help.hasAttribute("hidden"), made.grid.focus.mock.calls.length]).toEqual([true, 1]);
  });

  it("gives the focus back to the button that opened the help", () => {
    const { extras, root, arrive, helped } = made;
    const opener = document.createElement("button");
    root.append(opener);
    opener.focus();
    arrive();
    extras.toggleHelp();
    root.querySelector<HTMLElement>("[aria-label='Close the help']")!.click();
    expect(document.activeElement).toBe(opener);
    expect(helped.mock.calls).toEqual([[true], [false]]);
  });

  it("leaves the focus where it has gone since the help was opened", () => {
    const { extras, root, arrive, grid } = made;
    const [opener, elsewhere] = [document.createElement("button"), document.createElement("button")];
    root.append(opener, elsewhere);
    opener.focus();
    arrive();
    extras.toggleHelp();
    elsewhere.focus();
    extras.toggleHelp();
    expect(document.activeElement).toBe(elsewhere);
    expect(grid.focus).not.toHaveBeenCalled();
  });

  it("shows what was saved, and says of the cursor's cell what no card does", () => {
    const { extras, root, arrive, view, grid } = made;
    arrive();
    root.querySelector<HTMLElement>("[aria-label='Show mine on the grid']")!.click();
    expect(grid.extend).toHaveBeenCalledOnce();
    expect([view.marks, grid.refresh.mock.calls.length]).toEqual([["mine"], 1]);
    expect(extras.point(null, { band: 1, row: 0, column: 1 })).toBe("saved as mine");
    expect(extras.point(null, { band: 1, row: 0, column: 2 })).toBe("");
  });
});
