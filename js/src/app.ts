/** One view: puts the pieces together and tells each of them what changed. */
import { makeAnnouncer } from "./announce";
import { makeBadge } from "./badge";
import { nameOf, numberAt, type Spot, spotOf, wordOf } from "./cells";
import { makeColourBy } from "./colourby";
import { makeDeeds } from "./deeds";
import { make, setText } from "./dom";
import { Editor } from "./editor";
import { makeExtras } from "./extras";
import { makeGrid } from "./grid";
import { followKernel, isDisconnected, noticeOf } from "./kernel";
import { makeLegend } from "./legend";
import { makePanelHost } from "./panelhost";
import { makeQuery } from "./query";
import { saidOf } from "./shades";
import { followWidth, sidesOf } from "./sides";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "./stacks";
import { makeStatus } from "./status";
import { type Looked, subjectOf } from "./subject";
import { type Ln, type Model, Sync, type Trait } from "./sync";
import { makeTabs } from "./tabs";
import { followTheme } from "./theme";
import { makeTools } from "./tools";
import { newView, showStack } from "./view";

/** Keys that are held down ask for one description, not for one per cell. */
const SETTLED = 80;

export function makeApp(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const sync = new Sync(model);
  const holding = (stack: string) => stackHolding(sync.cells, stack, sync.on, sync.partial);
  const view = newView(sync.cells, holding(""));
  const announcer = makeAnnouncer(() => model.get("plan"), sync.text, signal);
  const editor = new Editor(sync, view, announcer.say);
  const inspector = makePanelHost(
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
  const arrowBar = inspector.arrowBar(view.arrows, () => showArrows());
  const status = makeStatus();
  const badge = makeBadge(signal);
  const name = make("span", { class: "hg-model" });
  const notice = make("p", { class: "hg-notice", role: "status" });
  let asking = 0;
  /** The number of this view's query that is not answered yet. */
  let asked = -1;
  let shownZoom = "";
  /** What this view looks at while there is no kernel to ask. */
  let looked: Looked = sync.focus;

  const inspect = (spot: Spot, byKey: boolean) => {
    const cell = numberAt(view.cells, spot);
    clearTimeout(asking);
    if (cell < 0) return;
    if (!view.live) {
      looked = { ...looked, cell };
      showInspector();
    } else if (byKey) asking = window.setTimeout(() => sync.inspect(cell), SETTLED);
    else sync.inspect(cell);
  };
  const deeds = makeDeeds(sync, announcer);
  const step = (what: "undo" | "redo") => view.live && deeds.step(what);

  const grid = makeGrid(
    sync,
    view,
    editor,
    {
      detailId: status.detailId,
      visited: inspect,
      asked: (what) => {
        if (what === "query") query.focus();
        else if (what === "help") extras.toggleHelp();
        else if (what !== "picture") step(what);
      },
      changed: () => {
        showStatus();
        const zoomed = JSON.stringify(grid.zoomed());
        if (zoomed !== shownZoom) showTools();
      },
    },
    signal,
  );
  const ask = (text: string) => {
    asked = sync.ask(text);
    return asked;
  };
  const complete = sync.complete.bind(sync);
  const query = makeQuery({ ask, complete, leave: grid.focus, say: announcer.say }, signal);
  const helped = (open: boolean) => tools.helped(open);
  const extras = makeExtras(inspector, grid, sync, view, deeds, announcer, helped, signal);
  const tools = makeTools(
    {
      undo: () => step("undo"),
      redo: () => step("redo"),
      clear: () => editor.clear(),
      all: () => editor.all(),
      invert: () => editor.invert(),
      zoom: grid.zoom,
      picture: extras.picture,
      help: extras.toggleHelp,
    },
    signal,
  );

  const panel = make("div", {}, grid.element);
  const tabs = makeTabs("Stacks", panel, (stack) => show(stack), signal);
  const left = make("div", { class: "hg-left" }, tabs.element, panel, legend.element, arrowBar.element);
  const root = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, make("div", { class: "hg-who" }, name, badge.button), tools.element),
    badge.note,
    extras.help,
    query.element,
    make("div", { class: "hg-rows" }, colourBy.element, extras.saved),
    make("div", { class: "hg-main" }, left, inspector.element),
    status.element,
    notice,
    announcer.element,
    extras.card,
  );

  const textAt = (cell: number, say: typeof wordOf) => {
    const spot = spotOf(sync.cells, cell);
    return spot ? say(sync.cells, spot) : "";
  };
  /** Takes cursor and inspector to a cell, in whichever stack it is. */
  const go = (cell: number) => {
    const holds = (stack: string) => spotOf(cellsOf(sync.cells, stack), cell) !== null;
    const stack = [view.stack, ...sync.cells.stacks.map(({ name }) => name)].find(holds);
    if (stack === undefined) return;
    show(stack);
    const spot = spotOf(view.cells, cell);
    if (spot) grid.visit(spot);
  };
  const norm = (ln: Ln) => {
    if (!view.live) {
      looked = { ...looked, ln };
      return showInspector();
    }
    const { metric } = sync.recoloured;
    sync.inspect(sync.focus.cell, ln);
    if (metric && (!sync.shades || sync.shades.metric === metric)) sync.recolour(metric, ln);
  };
  const showTabs = () => tabs.update(stackTabs(sync.cells, sync.on, sync.partial), view.stack);
  const showTools = () => {
    const { live } = view;
    const zoomed = grid.zoomed();
    shownZoom = JSON.stringify(zoomed);
    tools.update({ live, history: sync.history, zoomed, extras: live || sync.panel !== "" });
  };
  const showStatus = () => {
    const { cells } = view;
    const spot = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const value = spot ? saidOf(sync.shades, numberAt(cells, spot)) : "";
    const detail = extras.point(brush ? null : view.hover, spot);
    const here = spot && {
      word: wordOf(cells, spot),
      name: nameOf(cells, spot) + (value && `, ${value}`),
      detail,
    };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
  const showInspector = () => inspector.update(subjectOf(sync, view.live, looked), sync.panel);
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
    setText(notice, noticeOf(view.live, sync.version));
    root.classList.toggle("hg-frozen", !view.live);
    query.update(sync.text, view.live);
    showTabs();
    showStatus();
    showInspector();
    showColours();
    showArrows();
    showTools();
    extras.update();
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
    looked = sync.focus;
    view.live = live;
    view.brush = null;
    showAll();
  };
  const showers: Partial<Record<Trait, () => void>> = {
    progress: showColours,
    focus: showInspector,
    summary: showInspector,
    comparison: showInspector,
    panel: () => {
      showInspector();
      showTools();
    },
    kept: showInspector,
    deeds: showTools,
    history: () => {
      showTools();
      extras.update();
      deeds.done();
    },
    saved: () => {
      extras.update();
      grid.refresh();
    },
    complete: () => {},
    completions: () => query.complete(sync.completions),
  };

  sync.follow(signal, (trait) => {
    if (trait === "plan")
      Object.assign(view, newView(sync.cells, holding(view.stack)), {
        live: view.live,
        focused: view.focused,
        panel: view.panel,
        arrows: view.arrows,
        marks: view.marks,
      });
    if (trait === "cells") editor.cellsChanged();
    if (trait === "text") {
      followAnswer();
      announcer.counted(sync.text);
    }
    (showers[trait] ?? showAll)();
  });
  followKernel(model, signal, setLive);

  el.append(root);
  const retheme = followTheme(root, signal, () => {
    grid.recolour();
    showColours();
  });
  const resize = (width: number, isFirst: boolean) => {
    if (isFirst) {
      retheme();
      setLive(!isDisconnected(el));
    }
    const columns = Math.max(0, ...sync.cells.bands.map((band) => band.columns.length));
    const { wide, room } = sidesOf(width, columns);
    root.classList.toggle("hg-wide", wide);
    grid.fitTo(room);
    showTools();
  };
  followWidth(root, resize, signal);
  const wake = () => view.live && sync.wake();
  for (const event of ["pointerenter", "focusin"]) root.addEventListener(event, wake, { once: true, signal });
  signal.addEventListener("abort", () => {
    clearTimeout(asking);
    root.remove();
  });
  showAll();
}
