/** One view of the widget: makes its parts and updates those that a change of a trait concerns. */
import { makeAnnouncer } from "./chrome/announce";
import { makeArrowBar } from "./chrome/arrow_bar";
import { makeBadge } from "./chrome/badge";
import { makeCommands } from "./chrome/commands";
import { makeCompleting } from "./chrome/completion";
import { makeExercise } from "./chrome/exercise";
import { makeFrame } from "./chrome/frame";
import { makeHelp } from "./chrome/help";
import { makeQuery } from "./chrome/query";
import { makeSaved } from "./chrome/saved";
import { followWidth, splitWidth } from "./chrome/splitter";
import { makeStatus } from "./chrome/status";
import { makeTools } from "./chrome/toolbar";
import { makeColoring } from "./coloring";
import { atEnd, make, setText } from "./dom/elements";
import { makeTabs } from "./dom/tabs";
import { followTheme } from "./dom/theme";
import { makeCopyMenu } from "./export/copy_menu";
import { makeSaveMenu } from "./export/save_menu";
import { makeGrid } from "./grid/grid";
import { makeTooltip } from "./grid/tooltip";
import { makeInspector } from "./inspector/inspector";
import { makeTextView } from "./live/text_view";
import { makeLooking } from "./looking";
import { Editor } from "./model/editor";
import { followKernel, isDisconnected, noticeOf } from "./model/kernel";
import { stackHolding, stackTabs, tally, tallyText } from "./model/stacks";
import { type Model, Sync, type Trait } from "./model/sync";
import { newView, showCells, showStack } from "./model/view";
import { ViewColors } from "./model/view_colors";
import { makeReadout } from "./readout";

export function makeApp(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const sync = new Sync(model);
  const holding = (stack: string) => stackHolding(sync.cells, stack, sync.on, sync.partial);
  const view = newView(sync.cells, holding(""));
  const announcer = makeAnnouncer(() => model.get("spec"), sync.text, signal);
  const { say } = announcer;
  const editor = new Editor(sync, view, say);
  const { onText } = sync;
  const colors = new ViewColors(sync, view);
  const status = makeStatus();
  const badge = makeBadge(signal);
  const name = make("span", { class: "hg-model" });
  const notice = make("p", { class: "hg-notice", role: "status" });
  /** The number of this view's query that is not answered yet; -1 where there is none. */
  let asked = -1;
  let shownZoom = "";
  /** The width that the grid has. */
  let room = 0;
  const looking = makeLooking(sync, view, {
    inspect: (cell) => text.inspect(cell),
    show: (stack) => show(stack),
    visit: (position) => grid.visit(position),
    changed: () => showInspector(),
  });
  const commands = makeCommands(sync, announcer);
  const step = (what: "undo" | "redo") => view.live && commands.step(what);

  const grid = makeGrid(
    sync,
    view,
    editor,
    colors,
    {
      detailId: status.detailId,
      visited: looking.inspect,
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
  const recolored = () => {
    grid.refresh();
    showColors();
  };
  const coloring = makeColoring(sync, view, editor, colors, { look: looking.go, recolored }, signal);
  const arrowBar = makeArrowBar(
    view.arrows,
    () => {
      showArrows();
      grid.refresh();
    },
    signal,
  );
  const saved = makeSaved(
    view.marks,
    { command: commands.ask, finished: announcer.done, shown: grid.refresh, say },
    signal,
  );
  const text = makeTextView(sync, view, grid.focus, signal);
  const inspector = makeInspector(
    view.inspector,
    {
      word: looking.word,
      name: looking.name,
      go: looking.go,
      normed: looking.normed,
      opened: text.opened,
      say,
    },
    text.panel,
    signal,
  );
  const exercise = makeExercise(() => sync.command("check"), signal);
  const tooltip = makeTooltip(signal);
  const showStatus = makeReadout({ sync, view, editor, colors, grid, status, tooltip });
  const frame = makeFrame({
    ...{ name, badge, notice, tools, exercise, query, tabs, saved, inspector, help, status },
    ...{ prompt: text.prompt, grid: panel, colors: coloring.colorBy, arrows: arrowBar },
    ...{ legend: coloring.legend, start: coloring.start, over: [announcer, tooltip] },
  });
  const root = frame.element;

  const showTabs = () => tabs.update(stackTabs(sync.cells, sync.on, sync.partial), view.stack);
  const zoomState = () => JSON.stringify([grid.zoomed(), grid.cellSide()]);
  const showTools = () => {
    const { live } = view;
    shownZoom = zoomState();
    tools.update({ live, looking: view.looking, history: sync.history, zoomed: grid.zoomed() });
  };
  const showInspector = () => {
    frame.looked(looking.isLooking);
    inspector.update(looking.content());
    text.show(looking.cell);
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
  const showColors = () => coloring.update(root.dataset.theme ?? "light", grid.cellSide());
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
  const showExercise = () => exercise.update(sync.exercise, view.live && !sync.isPage);
  const showAll = () => {
    setText(name, sync.cells.model);
    name.title = sync.cells.model;
    badge.update(sync.cells.provenance, sync.cells.provenanceNote);
    setText(notice, noticeOf(view.live, sync.version, sync.isPage));
    root.classList.toggle("hg-no-kernel", !view.live);
    query.update(sync.text, view.live);
    copier.update(sync.text.selection, view.live && !sync.isPage);
    completing.update(sync.completions);
    showExercise();
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
    looking.keep();
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
    exercise: showExercise,
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
    if (trait === "spec") showCells(view, sync.cells, () => holding(view.stack));
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
    frame.fit(room, split.wide, width);
    view.patterns = onText.query.thumbnails;
    grid.fitTo(room);
    showTools();
    showColors();
  };
  followWidth(root, resize, signal);
  atEnd(signal, () => {
    looking.end();
    root.remove();
  });
  showAll();
}
