/** What comes with the second module, put into a view of the first one. */

import { savePicture } from "../export/picture";
import { curvesOf } from "../grid/arrows";
import { paintArrows } from "../grid/draw_arrows";
import type { Grid } from "../grid/grid";
import { keepMarks, paintMarks } from "../grid/marks";
import { type CardContent, cardOf, detailOf, makeCard } from "../grid/tooltip";
import { makeInspector } from "../inspector/inspector";
import { nameOf, type Spot, spotOf, wordOf } from "../model/cells";
import type { Commands } from "../model/commands";
import { arrowsOf, completionsOf } from "../model/reads";
import { type Looked, subjectOf } from "../model/subject";
import type { Ln, Sync } from "../model/sync";
import type { View } from "../model/view";
import type { Announcer } from "./announce";
import { makeArrowBar } from "./arrowbar";
import { copyFrom } from "./clipboard";
import type { ColorBy } from "./colorby";
import { makeCompleting } from "./completion";
import { makeHelp } from "./help";
import { makeLegend } from "./legend";
import { makeMenu } from "./menu";
import { makeWork } from "./progress";
import type { QueryBox } from "./query";
import { makeSaved } from "./saved";
import { readPalette } from "./theme";
import type { Tools } from "./toolbar";

/** A view of the first module, as the second one needs it. */
export interface Base {
  sync: Sync;
  view: View;
  announcer: Announcer;
  commands: Commands;
  grid: Grid;
  query: QueryBox;
  tools: Tools;
  colorBy: ColorBy;
  /** The widget; what holds the grid; and the places of the legend and of what is saved. */
  root: HTMLElement;
  left: HTMLElement;
  legend: HTMLElement;
  saved: HTMLElement;
  /** What this view looks at while there is no kernel to ask. */
  looked(): Looked;
  /** Takes cursor and inspector to a cell. */
  go(cell: number): void;
  /** Reads the weights with the norms folded, or raw. */
  normed(ln: Ln): void;
}

export interface Extras {
  /** The inspector. */
  element: HTMLElement;
  /** Something that is shown has changed. */
  update(): void;
  /** The card of the cell that the pointer is on. Returns what there is to say of a cell where no card does. */
  point(hover: Spot | null, cursor: Spot | null): string;
  /** Opens or closes the help, or the menu of pictures. */
  toggleHelp(): void;
  togglePictures(): void;
  /** Copies a text, and says so on the button that asked for it. */
  copy(node: HTMLElement, text: string): void;
  /** An arrow key in the query box. */
  step(event: KeyboardEvent): void;
}

export function makeExtras(base: Base, signal: AbortSignal): Extras {
  const { sync, view, announcer, commands, grid, query, tools, colorBy, root } = base;
  const { say } = announcer;
  const said = (what: typeof wordOf) => (cell: number) => {
    const spot = spotOf(sync.cells, cell);
    return spot ? what(sync.cells, spot) : "";
  };
  const { go, normed } = base;
  const inspector = makeInspector(
    view.panel,
    { word: said(wordOf), name: said(nameOf), go, normed, say },
    signal,
  );
  const help = makeHelp(tools.helped, grid.focus, signal);
  const saved = makeSaved(
    view.marks,
    { command: commands.ask, came: announcer.done, shown: grid.refresh, say },
    signal,
  );
  const card = makeCard(signal);
  const showLegend = makeLegend(base.legend);
  const showArrows = () => arrowBar.update(arrowsOf(sync), view.cells);
  const arrowBar = makeArrowBar(
    view.arrows,
    () => {
      showArrows();
      grid.refresh();
    },
    signal,
  );
  const completing = makeCompleting(query, (text, at) => sync.complete(text, at), signal);
  const showWork = makeWork(colorBy.menu, () => sync.recolor(""), signal);
  const save = async (kind: "png" | "svg") => {
    const scene = grid.picture();
    if (!scene) return;
    const { selection, counts } = sync.text;
    const marks = sync.saved.map(({ name }) => name).filter((name) => view.marks.includes(name));
    const caption = { selection, counts, marks };
    try {
      const { model, stacks } = view.cells;
      const stack = stacks.find(({ name }) => name === view.stack)?.label;
      const title = stack ? `${model}, ${stack}` : model;
      await savePicture(kind, scene, readPalette(grid.element), title, caption);
      say("picture saved");
    } catch (error) {
      say(`no picture was saved: ${error}`);
    }
  };
  const togglePictures = makeMenu(
    tools.picture,
    [
      ["PNG image", () => void save("png")],
      ["SVG drawing", () => void save("svg")],
    ],
    signal,
  );
  const marksOf = keepMarks();

  query.element.before(help.element);
  base.saved.append(...saved.nodes);
  base.left.append(arrowBar.element);
  root.append(card.element);
  grid.extend((geometry) => {
    const { arrows, fence } = arrowsOf(sync);
    return {
      arrows: curvesOf(arrows, view.arrows, view.cells, geometry, fence),
      marks: marksOf(sync.saved, view.marks, view.cells.count),
      paintArrows,
      paintMarks,
    };
  });
  // Some of the palette's colors stand in the second style sheet.
  grid.recolor();

  const update = () => {
    const { live } = view;
    const { selection, error } = sync.text;
    inspector.update(subjectOf(sync, live, base.looked()));
    showLegend(sync.shades, root.dataset.theme ?? "light");
    showArrows();
    showWork(sync.progress, live);
    saved.update({
      items: sync.saved,
      count: sync.cells.count,
      selection,
      done: sync.history.done,
      error: error?.message ?? "",
      live,
    });
    completing.update(completionsOf(sync));
  };
  const contentOf = (spot: Spot | null): CardContent | null =>
    spot && cardOf(view.cells, spot, sync.on, sync.partial, sync.shades, sync.saved);
  return {
    element: inspector.element,
    update,
    point: (hover, cursor) => {
      const content = contentOf(hover);
      card.show(hover && content && grid.rectOfSpot(hover), content);
      const described = hover ? null : contentOf(cursor);
      return described ? detailOf(described) : "";
    },
    toggleHelp: help.toggle,
    togglePictures,
    copy: (node, text) => void copyFrom(node, text, say),
    step: completing.step,
  };
}
