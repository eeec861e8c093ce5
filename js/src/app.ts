/** One view of the widget: makes its parts and updates those that a change of a trait concerns. */
import { makeAnnouncer } from "./chrome/announce";
import { makeArrowBar } from "./chrome/arrow_bar";
import { makeBadge } from "./chrome/badge";
import { makeColorBy } from "./chrome/color_by";
import { makeCommands } from "./chrome/commands";
import { makeCompleting } from "./chrome/completion";
import { makeHelp } from "./chrome/help";
import { makeLegend } from "./chrome/legend";
import { makeQuery } from "./chrome/query";
import { makeSaved } from "./chrome/saved";
import { followWidth, splitWidth } from "./chrome/splitter";
import { makeStatus } from "./chrome/status";
import { makeTools } from "./chrome/toolbar";
import { atEnd, make, setText } from "./dom/elements";
import { makeTabs } from "./dom/tabs";
import { followTheme } from "./dom/theme";
import { makeCopyMenu } from "./export/copy_menu";
import { makeSaveMenu } from "./export/save_menu";
import { makeGrid } from "./grid/grid";
import { detailOf, makeTooltip, type TooltipContent, tooltipOf } from "./grid/tooltip";
import { inspectorContent, type ViewFocus } from "./inspector/content";
import { makeInspector } from "./inspector/inspector";
import { patternChoice } from "./live/content";
import { makeTextView } from "./live/text_view";
import { valueText } from "./model/cell_values";
import { nameOf, numberAt, type Position, positionOf, wordOf } from "./model/cells";
import { Editor } from "./model/editor";
import { followKernel, isDisconnected, noticeOf } from "./model/kernel";
import { cellsOf, stackHolding, stackTabs, tally, tallyText } from "./model/stacks";
import { type Ln, type Model, Sync, type Trait } from "./model/sync";
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
  const { onText } = sync;
  const colorBy = makeColorBy(
    {
      recolor: (metric) => sync.recolor(metric),
      patterns: (thumbnails) => onText.ask({ thumbnails }),
    },
    signal,
  );
  const status = makeStatus();
  const badge = makeBadge(signal);
  const name = make("span", { class: "hg-model" });
  const notice = make("p", { class: "hg-notice", role: "status" });
  let asking = 0;
  /** The number of this view's query that is not answered yet; -1 where there is none. */
  let asked = -1;
  let shownZoom = "";
  /** The width that the grid has. */
  let room = 0;
  /** The cell that this view inspects while there is no kernel. */
  let viewFocus: ViewFocus = sync.focus;

  const inspect = (position: Position, byKey: boolean) => {
    const cell = numberAt(view.cells, position);
    clearTimeout(asking);
    if (cell < 0) return;
    if (!view.live) {
      viewFocus = { ...viewFocus, cell };
      showInspector();
    } else if (byKey) asking = window.setTimeout(() => text.inspect(cell), SETTLED);
    else text.inspect(cell);
  };
  const commands = makeCommands(sync, announcer);
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
        else if (what === "look") look();
        else step(what);
      },
      changed: () => {
        showStatus();
        if (zoomState() !== shownZoom) {
          showTools();
          showColors();
        }
      },
    },
    signal,
  );
  const askQuery = (text: string) => {
    asked = sync.command("query", "", text);
    return asked;
  };
  const copier = makeCopyMenu(sync.code, say, signal);
  const query = makeQuery({ ask: askQuery, say, leave: grid.focus }, copier.element, signal);
  const completing = makeCompleting(query, (text, at) => sync.complete(text, at), signal);
  const toggleHelp = () => help.toggle();
  const look = () => {
    view.looking = !view.looking;
    say(view.looking ? "clicks look, and select nothing" : "clicks select");
    grid.refresh();
    showTools();
  };
  const tools = makeTools(
    {
      undo: () => step("undo"),
      redo: () => step("redo"),
      clear: () => editor.clear(),
      all: () => editor.all(),
      invert: () => editor.invert(),
      look: () => look(),
      zoom: grid.zoom,
      pictures: () => togglePictures(),
      help: toggleHelp,
    },
    signal,
  );

  const help = makeHelp(tools.helped, grid.focus, signal);
  const togglePictures = makeSaveMenu(tools.picture, { sync, view, grid, say }, signal);
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
    { command: commands.ask, finished: announcer.done, shown: grid.refresh, say },
    signal,
  );
  const text = makeTextView(sync, view, grid.focus, signal);
  const inspector = makeInspector(
    view.inspector,
    {
      word: (cell) => cellText(wordOf, cell),
      name: (cell) => cellText(nameOf, cell),
      go: (cell) => go(cell),
      normed: (ln) => normed(ln),
      opened: text.opened,
      say,
    },
    text.panel,
    signal,
  );
  const tooltip = makeTooltip(signal);
  const root = make(
    "div",
    { class: "headgrid" },
    make(
      "div",
      { class: "hg-top" },
      make("div", { class: "hg-identity" }, name, badge.button),
      tools.element,
    ),
    badge.note,
    help.element,
    query.element,
    text.prompt,
    make("div", { class: "hg-rows" }, colorBy.element, saved.element),
    make("div", { class: "hg-main" }, left, make("div", { class: "hg-aside" }, inspector.element)),
    status.element,
    notice,
    announcer.element,
    tooltip.element,
  );

  const cellText = (what: typeof wordOf, cell: number) => {
    const position = positionOf(sync.cells, cell);
    return position ? what(sync.cells, position) : "";
  };
  /** Takes cursor and inspector to a cell, in whichever stack it is. */
  const go = (cell: number) => {
    const holds = (stack: string) => positionOf(cellsOf(sync.cells, stack), cell) !== null;
    const stack = [view.stack, ...sync.cells.stacks.map(({ name }) => name)].find(holds);
    if (stack === undefined) return;
    show(stack);
    const position = positionOf(view.cells, cell);
    if (position) grid.visit(position);
  };
  const normed = (ln: Ln) => {
    if (!view.live) {
      viewFocus = { ...viewFocus, ln };
      return showInspector();
    }
    const { metric } = sync;
    sync.inspect(sync.focus.cell, ln);
    if (metric) sync.recolor(metric, ln);
  };
  const showTabs = () => tabs.update(stackTabs(sync.cells, sync.on, sync.partial), view.stack);
  const zoomState = () => JSON.stringify([grid.zoomed(), grid.cellSide()]);
  const showTools = () => {
    const { live } = view;
    shownZoom = zoomState();
    tools.update({ live, looking: view.looking, history: sync.history, zoomed: grid.zoomed() });
  };
  const contentOf = (position: Position | null): TooltipContent | null =>
    position &&
    tooltipOf(view.cells, position, sync.on, sync.partial, sync.cellValues, sync.saved, sync.arrows.arrows);
  const showStatus = () => {
    const { cells } = view;
    const position = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const value = position ? valueText(sync.cellValues, numberAt(cells, position)) : "";
    const hover = brush ? null : view.hover;
    const hovered = contentOf(hover);
    tooltip.show(hover && hovered && grid.rectOfPosition(hover), hovered);
    const described = hover ? null : contentOf(position);
    const here = position && {
      word: wordOf(cells, position),
      name: nameOf(cells, position) + (value && `, ${value}`),
      detail: described ? detailOf(described) : "",
    };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
  const showInspector = () => {
    inspector.update(inspectorContent(sync, view.live, viewFocus));
    text.show(view.live ? sync.focus.cell : viewFocus.cell);
  };
  /** Cells that show patterns may be larger. */
  const showPatterns = () => {
    const { thumbnails } = onText.query;
    if (view.patterns !== thumbnails) {
      view.patterns = thumbnails;
      grid.fitTo(room);
    }
    grid.refresh();
    showColors();
  };
  const showArrows = () => arrowBar.update(sync.arrows, view.cells);
  const showColors = () => {
    const { cells, cellValues, metric, colorError: error, progress } = sync;
    const { live } = view;
    const patterns = patternChoice(onText, grid.cellSide());
    colorBy.update({ metrics: cells.metrics, cellValues, metric, error, progress, live, patterns });
    legend.update(cellValues, root.dataset.theme ?? "light");
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
    setText(notice, noticeOf(view.live, sync.version, sync.isPage));
    root.classList.toggle("hg-no-kernel", !view.live);
    query.update(sync.text, view.live);
    copier.update(sync.text.selection, view.live && !sync.isPage);
    completing.update(sync.completions);
    showTabs();
    showStatus();
    showInspector();
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
    viewFocus = sync.focus;
    view.live = live;
    view.brush = null;
    showAll();
  };
  /** What a change of a trait concerns, where that is not everything. */
  const showers: Partial<Record<Trait, () => void>> = {
    progress: showColors,
    focus: showInspector,
    summary: showInspector,
    selected_heads: showInspector,
    heads_table: showInspector,
    precomputed: showInspector,
    completions: () => completing.update(sync.completions),
    prompt: showInspector,
    task_state: () => {
      showInspector();
      showColors();
    },
    live_query: () => {
      showInspector();
      showPatterns();
    },
    live: showInspector,
    effect: showInspector,
    code: copier.answered,
    thumbnails: () => showPatterns(),
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
      const { live, focused, inspector, arrows, marks } = view;
      // The same cells, some of which write nothing now, or do again; or a grid of another shape, where all begins anew.
      if (view.cells.count === sync.cells.count) view.cells = cellsOf(sync.cells, view.stack);
      else
        Object.assign(view, newView(sync.cells, holding(view.stack)), {
          live,
          focused,
          inspector,
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
    text.panel.recolor();
    showColors();
  });
  const resize = (width: number, isFirst: boolean) => {
    if (isFirst) {
      retheme();
      setLive(!isDisconnected(el));
      text.begin();
    }
    const columns = Math.max(0, ...sync.cells.bands.map((band) => band.columns.length));
    const split = splitWidth(width, columns);
    room = split.room;
    root.classList.toggle("hg-wide", split.wide);
    view.patterns = onText.query.thumbnails;
    grid.fitTo(room);
    showTools();
    showColors();
  };
  followWidth(root, resize, signal);
  atEnd(signal, () => {
    clearTimeout(asking);
    root.remove();
  });
  showAll();
}
