/** One view: puts the pieces together and tells each of them what changed. */
import { makeAnnouncer } from "./chrome/announce";
import { makeArrowBar } from "./chrome/arrowbar";
import { makeBadge } from "./chrome/badge";
import { makeColorBy } from "./chrome/colorby";
import { makeCompleting } from "./chrome/completion";
import { atEnd, make, setText } from "./chrome/dom";
import { makeHelp } from "./chrome/help";
import { makeLegend } from "./chrome/legend";
import { makeWork } from "./chrome/progress";
import { makeQuery } from "./chrome/query";
import { makeSaved } from "./chrome/saved";
import { followWidth, sidesOf } from "./chrome/splitter";
import { makeStatus } from "./chrome/status";
import { followTheme } from "./chrome/theme";
import { makeTools } from "./chrome/toolbar";
import { makeSaveMenu } from "./export/save_menu";
import { makeGrid } from "./grid/grid";
import { type CardContent, cardOf, detailOf, makeCard } from "./grid/tooltip";
import { makeInspector } from "./inspector/inspector";
import { makeTabs } from "./inspector/tabs";
import { nameOf, numberAt, type Spot, spotOf, wordOf } from "./model/cells";
import { makeCommand } from "./model/commands";
import { Editor } from "./model/editor";
import { followKernel, isDisconnected, noticeOf } from "./model/kernel";
import { arrowsOf, completionsOf } from "./model/reads";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "./model/stacks";
import { type Looked, subjectOf } from "./model/subject";
import { type Ln, type Model, Sync, type Trait } from "./model/sync";
import { saidOf } from "./model/values";
import { newView, showStack } from "./model/view";

/** Keys that are held down ask for one description, not for one per cell. */
const SETTLED = 80;

export function makeApp(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const sync = new Sync(model);
  const holding = (stack: string) => stackHolding(sync.cells, stack, sync.on, sync.partial);
  const view = newView(sync.cells, holding(""));
  const announcer = makeAnnouncer(() => model.get("spec"), sync.text, signal);
  const { say } = announcer;
  const editor = new Editor(sync, view, say);
  const colorBy = makeColorBy((metric) => sync.recolor(metric), signal);
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
      showPanel();
    } else if (byKey) asking = window.setTimeout(() => sync.inspect(cell), SETTLED);
    else sync.inspect(cell);
  };
  const commands = makeCommand(sync, announcer);
  const step = (what: "undo" | "redo") => view.live && commands.step(what);

  const grid = makeGrid(
    sync,
    view,
    editor,
    {
      detailId: status.detailId,
      visited: inspect,
      asked: (what) => {
        if (what === "query") query.focus();
        else if (what === "help") toggleHelp();
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
    asked = sync.command("query", "", text);
    return asked;
  };
  const query = makeQuery({ ask, say, leave: grid.focus }, signal);
  const completing = makeCompleting(query, (text, at) => sync.complete(text, at), signal);
  const toggleHelp = () => help.toggle();
  const tools = makeTools(
    {
      undo: () => step("undo"),
      redo: () => step("redo"),
      clear: () => editor.clear(),
      all: () => editor.all(),
      invert: () => editor.invert(),
      zoom: grid.zoom,
      pictures: () => togglePictures(),
      help: toggleHelp,
    },
    signal,
  );

  const help = makeHelp(tools.helped, grid.focus, signal);
  const togglePictures = makeSaveMenu(tools.picture, { sync, view, grid, say }, signal);
  const showProgress = makeWork(colorBy.menu, () => sync.recolor(""), signal);
  const panel = make("div", {}, grid.element);
  const tabs = makeTabs("Stacks", panel, (stack) => show(stack), signal);
  const legend = makeLegend();
  const arrowBar = makeArrowBar(
    view.arrows,
    () => {
      showArrows();
      grid.refresh();
    },
    signal,
  );
  const left = make("div", { class: "hg-left" }, tabs.element, panel, legend.element, arrowBar.element);
  const saved = makeSaved(
    view.marks,
    { command: commands.ask, came: announcer.done, shown: grid.refresh, say },
    signal,
  );
  const inspector = makeInspector(
    view.panel,
    {
      word: (cell) => said(wordOf, cell),
      name: (cell) => said(nameOf, cell),
      go: (cell) => go(cell),
      normed: (ln) => normed(ln),
      say,
    },
    signal,
  );
  const card = makeCard(signal);
  const root = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, make("div", { class: "hg-who" }, name, badge.button), tools.element),
    badge.note,
    help.element,
    query.element,
    make("div", { class: "hg-rows" }, colorBy.element, saved.element),
    make("div", { class: "hg-main" }, left, make("div", { class: "hg-side" }, inspector.element)),
    status.element,
    notice,
    announcer.element,
    card.element,
  );

  const said = (what: typeof wordOf, cell: number) => {
    const spot = spotOf(sync.cells, cell);
    return spot ? what(sync.cells, spot) : "";
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
  const normed = (ln: Ln) => {
    if (!view.live) {
      looked = { ...looked, ln };
      return showPanel();
    }
    const { metric } = sync.recolored;
    sync.inspect(sync.focus.cell, ln);
    if (metric && (!sync.shades || sync.shades.metric === metric)) sync.recolor(metric, ln);
  };
  const showTabs = () => tabs.update(stackTabs(sync.cells, sync.on, sync.partial), view.stack);
  const showTools = () => {
    const { live } = view;
    const zoomed = grid.zoomed();
    shownZoom = JSON.stringify(zoomed);
    tools.update({ live, history: sync.history, zoomed });
  };
  const contentOf = (spot: Spot | null): CardContent | null =>
    spot && cardOf(view.cells, spot, sync.on, sync.partial, sync.shades, sync.saved);
  const showStatus = () => {
    const { cells } = view;
    const spot = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const value = spot ? saidOf(sync.shades, numberAt(cells, spot)) : "";
    const hover = brush ? null : view.hover;
    const hovered = contentOf(hover);
    card.show(hover && hovered && grid.rectOfSpot(hover), hovered);
    const described = hover ? null : contentOf(spot);
    const here = spot && {
      word: wordOf(cells, spot),
      name: nameOf(cells, spot) + (value && `, ${value}`),
      detail: described ? detailOf(described) : "",
    };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
  const showPanel = () => inspector.update(subjectOf(sync, view.live, looked));
  const showArrows = () => arrowBar.update(arrowsOf(sync), view.cells);
  const showColors = () => {
    const { cells, shades, recolored, colorError: error, progress } = sync;
    const { live } = view;
    colorBy.update({ metrics: cells.metrics, shades, asked: recolored.metric, error, progress, live });
    showProgress(progress, live);
    legend.update(shades, root.dataset.theme ?? "light");
  };
  const showSaved = () => {
    const { selection, error } = sync.text;
    saved.update({
      items: sync.saved,
      count: sync.cells.count,
      selection,
      done: sync.history.done,
      error: error?.message ?? "",
      live: view.live,
    });
  };
  const showAll = () => {
    setText(name, sync.cells.model);
    name.title = sync.cells.model;
    badge.update(sync.cells.provenance, sync.cells.provenanceNote);
    setText(notice, noticeOf(view.live, sync.version));
    root.classList.toggle("hg-frozen", !view.live);
    query.update(sync.text, view.live);
    completing.update(completionsOf(sync));
    showTabs();
    showStatus();
    showPanel();
    showArrows();
    showColors();
    showSaved();
    showTools();
    grid.refresh();
  };
  const show = (stack: string) => {
    if (view.stack === stack) return;
    showStack(view, sync.cells, stack);
    const { label = "" } = sync.cells.stacks.find((tab) => tab.name === stack) ?? {};
    say(`${label} is shown, ${tallyText(tally(sync.cells, stack, sync.on, sync.partial))}`);
    showAll();
  };
  const setLive = (live: boolean) => {
    if (view.live === live) return;
    looked = sync.focus;
    view.live = live;
    view.brush = null;
    showAll();
  };
  /** What follows a trait's change, where that is not everything. */
  const showers: Partial<Record<Trait, () => void>> = {
    progress: showColors,
    focus: showPanel,
    summary: showPanel,
    selected_heads: showPanel,
    precomputed: showPanel,
    completions: () => completing.update(completionsOf(sync)),
  };
  /** The traits that changed and are not shown yet. */
  let changed: Trait[] = [];
  const showChanged = () => {
    const traits = changed;
    changed = [];
    if (signal.aborted) return;
    editor.cellsChanged();
    if (traits.includes("text")) {
      const { query: answered, error } = sync.text;
      if (answered === asked) {
        asked = -1;
        // What a query of this view selected is not to be all in a stack that is not shown.
        if (!error) show(holding(view.stack));
      }
      announcer.counted(sync.text);
    }
    const few = traits.map((trait) => showers[trait]);
    if (few.includes(undefined)) showAll();
    else for (const shower of new Set(few)) shower?.();
    commands.done();
  };

  sync.follow(signal, (trait) => {
    if (trait === "spec") {
      const { live, focused, panel, arrows, marks } = view;
      // The same cells, some of which write nothing now, or do again; or a grid of another shape, where all begins anew.
      if (view.cells.count === sync.cells.count) view.cells = cellsOf(sync.cells, view.stack);
      else
        Object.assign(view, newView(sync.cells, holding(view.stack)), {
          live,
          focused,
          panel,
          arrows,
          marks,
        });
    }
    // The traits of one message come one by one, in any order: they are shown once all of them are there.
    if (changed.push(trait) === 1) queueMicrotask(showChanged);
  });
  followKernel(model, signal, setLive);

  el.append(root);
  const retheme = followTheme(root, signal, () => {
    grid.recolor();
    showColors();
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
  atEnd(signal, () => {
    clearTimeout(asking);
    root.remove();
  });
  showAll();
}
