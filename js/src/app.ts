/** One view: puts the pieces together and tells each of them what changed. */
import { makeAnnouncer } from "./chrome/announce";
import { makeBadge } from "./chrome/badge";
import { makeColorBy } from "./chrome/colorby";
import { atEnd, make, on, setText } from "./chrome/dom";
import { makePanelHost } from "./chrome/panelhost";
import { makeQuery } from "./chrome/query";
import { followWidth, sidesOf } from "./chrome/splitter";
import { makeStatus } from "./chrome/status";
import { followTheme } from "./chrome/theme";
import { makeTools } from "./chrome/toolbar";
import { makeGrid } from "./grid/grid";
import { makeTabs } from "./inspector/tabs";
import { nameOf, numberAt, type Spot, spotOf, wordOf } from "./model/cells";
import { makeCommand } from "./model/commands";
import { Editor } from "./model/editor";
import { followKernel, isDisconnected, noticeOf } from "./model/kernel";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "./model/stacks";
import type { Looked } from "./model/subject";
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
  const host = makePanelHost(
    (module) =>
      module.makeExtras(
        {
          sync,
          view,
          announcer,
          commands,
          grid,
          query,
          tools,
          colorBy,
          root,
          left,
          legend,
          saved,
          go,
          normed,
          looked: () => looked,
        },
        signal,
      ),
    say,
    signal,
  );
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
  const query = makeQuery(
    {
      ask,
      copy: (node, text) => host.late((extras) => extras.copy(node, text)),
      stepped: (event) => host.late((extras) => extras.step(event)),
      leave: grid.focus,
    },
    signal,
  );
  const toggleHelp = () => host.late((extras) => extras.toggleHelp());
  const tools = makeTools(
    {
      undo: () => step("undo"),
      redo: () => step("redo"),
      clear: () => editor.clear(),
      all: () => editor.all(),
      invert: () => editor.invert(),
      zoom: grid.zoom,
      pictures: () => host.late((extras) => extras.togglePictures()),
      help: toggleHelp,
    },
    signal,
  );

  const panel = make("div", {}, grid.element);
  const tabs = makeTabs("Stacks", panel, (stack) => show(stack), signal);
  // Of its height before it is filled, so that nothing moves then.
  const legend = make("div", { class: "hg-row hg-legend", role: "group", "aria-label": "Colors" });
  const left = make("div", { class: "hg-left" }, tabs.element, panel, legend);
  const saved = make("div", { class: "hg-row hg-saved" });
  const root = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, make("div", { class: "hg-who" }, name, badge.button), tools.element),
    badge.note,
    query.element,
    make("div", { class: "hg-rows" }, colorBy.element, saved),
    make("div", { class: "hg-main" }, left, host.element),
    status.element,
    notice,
    announcer.element,
  );

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
  /** Whether the second module is there, or can come. */
  const hasExtras = () => view.live || sync.panel !== "";
  const showTools = () => {
    const { live } = view;
    const zoomed = grid.zoomed();
    shownZoom = JSON.stringify(zoomed);
    tools.update({ live, history: sync.history, zoomed, extras: hasExtras() });
  };
  const showStatus = () => {
    const { cells } = view;
    const spot = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const value = spot ? saidOf(sync.shades, numberAt(cells, spot)) : "";
    const detail = host.extras()?.point(brush ? null : view.hover, spot) ?? "";
    const here = spot && {
      word: wordOf(cells, spot),
      name: nameOf(cells, spot) + (value && `, ${value}`),
      detail,
    };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
  const showPanel = () => {
    const { cell } = view.live ? sync.focus : looked;
    saved.classList.toggle("hg-some", sync.saved.length > 0);
    host.update(sync.cells, cell, view.live, sync.panel);
    host.extras()?.update();
  };
  const showColors = () => {
    const { cells, shades, recolored, colorError: error, progress } = sync;
    const { live } = view;
    colorBy.update({ metrics: cells.metrics, shades, asked: recolored.metric, error, progress, live });
    legend.hidden = !shades;
  };
  const showAll = () => {
    setText(name, sync.cells.model);
    name.title = sync.cells.model;
    badge.update(sync.cells.provenance, sync.cells.provenanceNote);
    setText(notice, noticeOf(view.live, sync.version));
    root.classList.toggle("hg-frozen", !view.live);
    query.update(sync.text, view.live, hasExtras());
    showTabs();
    showStatus();
    showPanel();
    showColors();
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
    progress: () => {
      showColors();
      showPanel();
    },
    focus: showPanel,
    summary: showPanel,
    selected_heads: showPanel,
    precomputed: showPanel,
    completions: showPanel,
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
    showPanel();
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
  for (const event of ["pointerenter", "focusin"] as const) on(root, event, wake, signal, { once: true });
  atEnd(signal, () => {
    clearTimeout(asking);
    root.remove();
  });
  showAll();
}
