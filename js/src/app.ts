/** One view: puts the pieces together and tells each of them what changed. */
import { makeAnnouncer } from "./announce";
import { makeBadge } from "./badge";
import { nameOf, numberAt, type Spot, spotOf, wordOf } from "./cells";
import { make, OWN_KEYS, setText } from "./dom";
import { Editor } from "./editor";
import { makeGrid } from "./grid";
import { makeHelp } from "./help";
import { makeInspector } from "./inspector";
import { followKernel, isDisconnected } from "./kernel";
import { makeQuery } from "./query";
import { stackHolding, tally, tallyText } from "./stacks";
import { makeStatus } from "./status";
import { type Model, Sync } from "./sync";
import { makeTabs } from "./tabs";
import { followTheme } from "./theme";
import { newView, showStack } from "./view";
import { VERSION } from "./wire";

/** The inspector stands beside the grid from this width on, and only where the grid keeps this much for a column. */
const WIDE = 640;
const PER_COLUMN = 14;
const ENOUGH = 560;
const INSPECTOR = 300;
const GAP = 20;
/** Keys that are held down ask for one description, not for one per cell. */
const SETTLED = 80;

export function makeApp(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const sync = new Sync(model);
  const holding = (stack: string) => stackHolding(sync.cells, stack, sync.on, sync.partial);
  const view = newView(sync.cells, holding(""));
  const announcer = makeAnnouncer(signal);
  const editor = new Editor(sync, view, announcer.say);
  const inspector = makeInspector();
  const status = makeStatus();
  const badge = makeBadge(signal);
  const name = make("span", { class: "hg-model" });
  const notice = make("p", { class: "hg-notice", role: "status" });
  let asking = 0;
  /** The number of this view's query that is not answered yet. */
  let asked = -1;

  const inspect = (spot: Spot, byKey: boolean) => {
    const cell = numberAt(view.cells, spot);
    clearTimeout(asking);
    if (cell < 0 || !view.live) return;
    if (byKey) asking = window.setTimeout(() => sync.inspect(cell), SETTLED);
    else sync.inspect(cell);
  };

  const grid = makeGrid(
    sync,
    view,
    editor,
    {
      visited: inspect,
      asked: (what) => (what === "query" ? query.focus() : help.toggle()),
      changed: () => showStatus(),
    },
    signal,
  );
  const ask = (text: string) => {
    asked = sync.ask(text);
    return asked;
  };
  const query = makeQuery({ ask, leave: grid.focus }, signal);
  const help = makeHelp(grid.focus, signal);

  const button = (label: string, title: string, run: () => void) => {
    const node = make("button", { type: "button", class: "hg-button", title, ...OWN_KEYS }, label);
    node.addEventListener("click", run, { signal });
    return node;
  };
  const buttons = [
    button("Clear", "Clear the whole selection (Escape)", () => editor.clear()),
    button("All", "Select the whole model (A)", () => editor.all()),
    button("Invert", "Invert the selection in the whole model (I)", () => editor.invert()),
  ];
  const toolbar = make("div", { class: "hg-tools" }, ...buttons, help.button);
  const panel = make("div", {}, grid.element);
  const tabs = makeTabs(panel, (stack) => show(stack), signal);
  const left = make("div", { class: "hg-left" }, tabs.element, panel);
  const root = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, make("div", { class: "hg-who" }, name, badge.button), toolbar),
    badge.note,
    help.element,
    query.element,
    make("div", { class: "hg-main" }, left, inspector.element),
    status.element,
    notice,
    announcer.element,
  );

  const showTabs = () => {
    const { cells, on, partial } = sync;
    const tallies = cells.stacks.map((tab) => tally(cells, tab.name, on, partial));
    tabs.update(cells.stacks, view.stack, tallies);
  };
  const showStatus = () => {
    const { cells } = view;
    const spot = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    status.update(
      brush ? { word: "", name: brush } : spot && { word: wordOf(cells, spot), name: nameOf(cells, spot) },
      sync.text,
    );
  };
  const showInspector = () => {
    const spot = spotOf(sync.cells, sync.focus.cell);
    inspector.update(
      spot && { title: wordOf(sync.cells, spot), name: nameOf(sync.cells, spot) },
      sync.summary,
    );
  };
  const showAll = () => {
    setText(name, sync.cells.model);
    name.title = sync.cells.model;
    badge.update(sync.cells.standing, sync.cells.standingNote);
    const stale = sync.version !== 0 && sync.version !== VERSION;
    setText(
      notice,
      !view.live
        ? "No kernel: this is the last state"
        : stale
          ? "Reload the page: this view and the kernel have different versions of headgrid"
          : "",
    );
    for (const node of buttons) node.disabled = !view.live;
    root.classList.toggle("hg-frozen", !view.live);
    query.update(sync.text, view.live);
    showTabs();
    showStatus();
    showInspector();
    grid.refresh();
  };
  const show = (stack: string) => {
    if (view.stack === stack) return;
    showStack(view, sync.cells, stack);
    const { label = "" } = sync.cells.stacks.find((tab) => tab.name === stack) ?? {};
    announcer.say(`${label} is shown, ${tallyText(tally(sync.cells, stack, sync.on, sync.partial))}`);
    showAll();
  };
  /** Once a query of this view is answered, what it selected is not to be all in a stack that is not shown. */
  const followAnswer = () => {
    const { query: answered, error } = sync.text;
    if (answered !== asked) return;
    asked = -1;
    if (!error) show(holding(view.stack));
  };
  const setLive = (live: boolean) => {
    if (view.live === live) return;
    view.live = live;
    view.brush = null;
    showAll();
  };

  sync.follow(signal, (trait) => {
    if (trait === "plan")
      Object.assign(view, newView(sync.cells, holding(view.stack)), {
        live: view.live,
        focused: view.focused,
      });
    if (trait === "cells") editor.cellsChanged();
    if (trait === "text") {
      followAnswer();
      announcer.counted(sync.text.counts);
    }
    if (trait === "focus" || trait === "summary") showInspector();
    else showAll();
  });
  followKernel(model, signal, setLive);

  el.append(root);
  const retheme = followTheme(root, signal, grid.recolour);
  let width = 0;
  // A host may attach and size the element only after render, so everything that measures happens here.
  const observer = new ResizeObserver(([entry]) => {
    const now = Math.floor(entry?.contentRect.width ?? 0);
    if (now === 0 || now === width) return;
    if (width === 0) {
      retheme();
      setLive(!isDisconnected(el));
    }
    width = now;
    const columns = Math.max(0, ...sync.cells.bands.map((band) => band.columns.length));
    const beside = now - INSPECTOR - GAP;
    const wide = now >= WIDE && beside >= Math.min(ENOUGH, columns * PER_COLUMN);
    root.classList.toggle("hg-wide", wide);
    grid.fitTo(wide ? beside : now);
  });
  observer.observe(root);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    clearTimeout(asking);
    root.remove();
  });
  showAll();
}
