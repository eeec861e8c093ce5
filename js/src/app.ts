/** One view: puts the pieces together and tells each of them what changed. */
import { makeAnnouncer } from "./announce";
import { makeArrowBar } from "./arrowbar";
import { makeBadge } from "./badge";
import { nameOf, numberAt, type Spot, spotOf, wordOf } from "./cells";
import { makeColourBy } from "./colourby";
import { make, OWN_KEYS, setText } from "./dom";
import { Editor } from "./editor";
import { makeGrid } from "./grid";
import { makeHelp } from "./help";
import { makeInspector } from "./inspector";
import { followKernel, isDisconnected } from "./kernel";
import { makeLegend } from "./legend";
import { makeQuery } from "./query";
import { saidOf } from "./shades";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "./stacks";
import { makeStatus } from "./status";
import { type Ln, type Model, Sync } from "./sync";
import { makeTabs } from "./tabs";
import { followTheme } from "./theme";
import { newView, showStack } from "./view";
import { VERSION } from "./wire";

/** The inspector stands beside the grid from this width on, and only where the grid keeps this much for a column. */
const WIDE = 640;
const PER_COLUMN = 14;
const ENOUGH = 560;
const INSPECTOR = 320;
/** What the inspector takes where the grid's cells are roomy all the same. */
const ROOMY_INSPECTOR = 400;
const ROOMY_COLUMN = 24;
const GAP = 20;
/** Keys that are held down ask for one description, not for one per cell. */
const SETTLED = 80;

export function makeApp(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const sync = new Sync(model);
  const holding = (stack: string) => stackHolding(sync.cells, stack, sync.on, sync.partial);
  const view = newView(sync.cells, holding(""));
  const announcer = makeAnnouncer(signal);
  const editor = new Editor(sync, view, announcer.say);
  const inspector = makeInspector(
    view.panel,
    {
      word: (cell) => textAt(cell, wordOf),
      name: (cell) => textAt(cell, nameOf),
      go: (cell) => go(cell),
      normed: (ln) => norm(ln),
      say: announcer.say,
    },
    signal,
  );
  const colourBy = makeColourBy((metric) => sync.recolour(metric), signal);
  const legend = makeLegend();
  const arrowBar = makeArrowBar(view.arrows, () => showArrows(), signal);
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
  const query = makeQuery({ ask, leave: grid.focus, say: announcer.say }, signal);
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
  const tabs = makeTabs("Stacks", panel, (stack) => show(stack), signal);
  const left = make("div", { class: "hg-left" }, tabs.element, panel, legend.element, arrowBar.element);
  const root = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, make("div", { class: "hg-who" }, name, badge.button), toolbar),
    badge.note,
    help.element,
    query.element,
    colourBy.element,
    make("div", { class: "hg-main" }, left, inspector.element),
    status.element,
    notice,
    announcer.element,
  );

  const textAt = (cell: number, say: typeof wordOf) => {
    const spot = spotOf(sync.cells, cell);
    return spot ? say(sync.cells, spot) : "";
  };
  /** Takes cursor and inspector to a cell, in whichever stack it is. */
  const go = (cell: number) => {
    const holds = (stack: string) => spotOf(cellsOf(sync.cells, stack), cell) !== null;
    const stack = [view.stack, ...sync.cells.stacks.map(({ name }) => name)].find(holds);
    if (stack === undefined || !view.live) return;
    show(stack);
    const spot = spotOf(view.cells, cell);
    if (spot) grid.visit(spot);
  };
  const norm = (ln: Ln) => {
    const { metric } = sync.recoloured;
    sync.inspect(sync.focus.cell, ln);
    if (metric && (!sync.shades || sync.shades.metric === metric)) sync.recolour(metric, ln);
  };
  const showTabs = () => tabs.update(stackTabs(sync.cells, sync.on, sync.partial), view.stack);
  const showStatus = () => {
    const { cells } = view;
    const spot = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const value = spot ? saidOf(sync.shades, numberAt(cells, spot)) : "";
    const here = spot && { word: wordOf(cells, spot), name: nameOf(cells, spot) + (value && `, ${value}`) };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
  const showInspector = () => {
    const { cells, focus, summary, comparison, arrows } = sync;
    const spot = spotOf(cells, focus.cell);
    inspector.update({
      asked: spot && { title: wordOf(cells, spot), name: nameOf(cells, spot) },
      summary,
      comparison,
      note: arrows.note,
      ln: focus.ln,
      hasNorms: cells.metrics.length > 0 || Boolean(summary?.tabs.length),
      live: view.live,
    });
  };
  const showColours = () => {
    const { cells, shades, recoloured, colourError: error, progress } = sync;
    const { live } = view;
    colourBy.update({ metrics: cells.metrics, shades, asked: recoloured.metric, error, progress, live });
    legend.update(shades, root.dataset.theme ?? "light");
  };
  const showArrows = () => {
    arrowBar.update(sync.arrows.arrows, view.cells);
    grid.refresh();
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
    showColours();
    showArrows();
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
        panel: view.panel,
        arrows: view.arrows,
      });
    if (trait === "cells") editor.cellsChanged();
    if (trait === "text") {
      followAnswer();
      announcer.counted(sync.text.counts);
    }
    if (trait === "progress") showColours();
    else if (trait === "focus" || trait === "summary" || trait === "comparison") showInspector();
    else showAll();
  });
  followKernel(model, signal, setLive);

  el.append(root);
  const retheme = followTheme(root, signal, () => {
    grid.recolour();
    showColours();
  });
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
    const roomy = now - ROOMY_INSPECTOR - GAP;
    const beside = roomy >= Math.min(ENOUGH, columns * ROOMY_COLUMN) ? roomy : now - INSPECTOR - GAP;
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
