/** The grid of one view: a canvas, the ARIA grid over it, and the keys and pointers that reach it. */

import { atEnd, freshId, make, OWN_KEYS, on, perFrame } from "../dom/elements";
import { type Palette, readPalette } from "../dom/theme";
import { type Position, samePosition } from "../model/cells";
import type { Editor } from "../model/editor";
import { keepPatternCells } from "../model/pattern_cells";
import type { Sync } from "../model/sync";
import type { View } from "../model/view";
import type { ViewColors } from "../model/view_colors";
import { AriaGrid, type AriaGridState, setAttribute } from "./aria_grid";
import { curvesOf } from "./arrows";
import { type Geometry, rectOf, unionOf } from "./geometry";
import { type Action, actionOf, isVertical } from "./keyboard";
import { makeLens } from "./lens";
import { keepMarks } from "./marks";
import { contextOf, PaintedCells } from "./painted_cells";
import { listenToPointer } from "./pointer";
import type { Scene } from "./scene";
import type { CardPicture } from "./tooltip";
import { makeViewport, type Viewport } from "./viewport";

export interface GridEvents {
  /** The id of the element that holds what else there is to say of the cursor's cell. */
  detailId: string;
  /** The cursor went to a position; at once by a click, or on its way by a key. */
  visited(position: Position, byKey: boolean): void;
  asked(what: "query" | "help" | "undo" | "redo" | "look"): void;
  /** Hover, cursor or brush changed. */
  changed(): void;
}

export interface Grid {
  element: HTMLElement;
  focus(): void;
  /** Takes the cursor to a position. */
  visit(position: Position): void;
  /** Fits the cells into a width and draws them. */
  fitTo(width: number): void;
  /** Everything, at its full size, without cursor and hover: what a picture of the grid shows. Null before layout. */
  picture(): Scene | null;
  /** Smaller cells, the whole grid, larger cells. */
  zoom(by: -1 | 0 | 1): void;
  /** What zooming could do, and whether the whole grid is asked for. */
  zoomed(): { canGrow: boolean; canShrink: boolean; fits: boolean };
  /** Where a position is on the page, in client coordinates; null where it is not in sight. */
  rectOfPosition(position: Position): DOMRect | null;
  /** The side of a head's square, in pixels; 0 before layout. */
  cellSide(): number;
  /** What stands in a tooltip beside what it says of a cell: its pattern, and its neighbors where cells are small. */
  pictureOf(position: Position): CardPicture;
  /** Draws again in the next frame. */
  refresh(): void;
  /** Reads the style sheet's colors anew. */
  recolor(): void;
}

/** How long a layout has to stand until the accessible grid follows, in milliseconds. */
const SETTLED = 60;

export function makeGrid(
  sync: Sync,
  view: View,
  editor: Editor,
  colors: ViewColors,
  events: GridEvents,
  signal: AbortSignal,
): Grid {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const grid = make("div", {
    role: "grid",
    tabindex: 0,
    "aria-multiselectable": "true",
    class: "hg-grid",
    ...OWN_KEYS,
  });
  const context = contextOf(canvas);
  const painted = new PaintedCells();
  const lens = makeLens();
  const ariaGrid = new AriaGrid(grid, freshId(), events.detailId);
  const widths = new Map<string, number>();
  let palette: Palette | null = null;
  const marksOf = keepMarks();
  const patternsOf = keepPatternCells();
  let settling = 0;
  /** What the accessible grid lies over, what it is about to, and what it is to say. */
  let ariaGeometry: Geometry | null = null;
  let pendingGeometry: Geometry | null = null;
  let ariaState: AriaGridState | null = null;

  /** Widths are asked for at every size that is tried, and are always the same. */
  const measure = (text: string) => {
    if (!palette) setPalette();
    const width = widths.get(text) ?? context?.measureText(text).width ?? 0;
    widths.set(text, width);
    return width;
  };
  const setPalette = () => {
    palette = readPalette(viewport);
    if (context) context.font = palette.font;
    widths.clear();
  };

  /** Everything that is drawn, at its full size, without cursor and hover. */
  const sceneOf = (geometry: Geometry): Scene => {
    const { partial } = sync;
    const { cells } = view;
    const cellValues = colors.values;
    const { arrows, fence } = sync.arrows;
    return {
      ...{ cells, geometry, partial, cellValues },
      patterns: patternsOf(sync.onText.thumbnails),
      arrows: curvesOf(arrows, view.arrows, cells, geometry, fence),
      marks: marksOf(sync.saved, view.marks, cells.count),
      on: editor.shown,
      ...{ cursor: null, focused: false, hover: null, scroll: { x: 0, y: 0 } },
      ...{ width: geometry.width, height: geometry.height, ratio: window.devicePixelRatio || 1 },
      path: () => new Path2D(),
    };
  };

  const draw = () => {
    const geometry = port.geometry();
    if (!context || !geometry || !palette || port.laid() !== view.cells) return;
    const { cells, cursor, hover, focused, brush } = view;
    const scene = Object.assign(sceneOf(geometry), { ...port.size(), focused, hover });
    const { ratio, width, height } = scene;
    const { x, y } = port.scroll();
    // In whole pixels of the device, so that what is held in place leaves no seams.
    scene.scroll = { x: Math.round(x * ratio) / ratio, y: Math.round(y * ratio) / ratio };
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) {
      Object.assign(canvas, { width: across, height: down });
      canvas.style.cssText = `width:${across / ratio}px;height:${down / ratio}px`;
    }
    if (focused || view.visited) scene.cursor = cursor;
    if (brush) scene.frame = unionOf(rectOf(geometry, brush.from), rectOf(geometry, brush.to));
    painted.paint(context, scene, palette);
    if (brush) return;
    const stack = cells.stacks.find((tab) => tab.name === view.stack)?.label;
    setAttribute(grid, "aria-label", `Parts of ${cells.model || "the model"}${stack ? `, ${stack}` : ""}`);
    setAttribute(grid, "aria-readonly", !view.live);
    ariaState = { ...scene, cursor };
    if (ariaGeometry === geometry) ariaGrid.update(ariaState);
    else settle(geometry);
  };
  /** Where all elements move at once, they do so when the layout has come to rest. */
  const settle = (geometry: Geometry) => {
    if (pendingGeometry === geometry) return;
    pendingGeometry = geometry;
    clearTimeout(settling);
    settling = window.setTimeout(() => {
      ariaGeometry = geometry;
      if (ariaState) ariaGrid.update(ariaState);
    }, SETTLED);
  };
  atEnd(signal, () => clearTimeout(settling));
  const refresh = perFrame(draw, signal);
  const port: Viewport = makeViewport(view, [canvas, grid], measure, () => changed(), signal);
  const viewport = port.element;
  const changed = () => {
    refresh();
    events.changed();
  };

  const point = (position: Position) => {
    view.cursor = position;
    view.visited = true;
    changed();
  };
  const visit = (position: Position, byKey: boolean) => {
    view.byKey = byKey;
    // A pointer that rests says nothing any more, until it moves.
    if (byKey) view.hover = null;
    point(position);
    if (byKey) port.reveal(position);
    events.visited(position, byKey);
  };

  /** Moves up and down without another key or a click between them. */
  let run = { origin: view.cursor, to: view.cursor };

  const act = (action: Action) => {
    switch (action.do) {
      case "move":
        if (action.extend) {
          view.anchor ??= view.cursor;
          editor.extend(action.to);
        } else {
          view.anchor = action.to;
          view.base = null;
        }
        return visit(action.to, true);
      case "toggle":
      case "only":
      case "group":
        editor[action.do](view.cursor);
        return visit(view.cursor, true);
      case "all":
      case "invert":
        return editor[action.do]();
      case "zoom":
        return port.zoom(action.by);
      case "escape":
        if (!view.brush) return editor.clear();
        view.brush = null;
        return changed();
      default:
        return events.asked(action.do);
    }
  };

  on(
    grid,
    "keydown",
    (event) => {
      const geometry = port.geometry();
      if (!geometry) return;
      const row = geometry.bands[view.cursor.band];
      const page = Math.max(1, Math.floor(viewport.clientHeight / (row?.pitch ?? 20)) - 1);
      const key = {
        key: event.key,
        shift: event.shiftKey,
        control: event.ctrlKey || event.metaKey,
        alt: event.altKey,
      };
      if (!isVertical(key) || !samePosition(view.cursor, run.to))
        run = { origin: view.cursor, to: view.cursor };
      const action = actionOf(
        { cells: view.cells, geometry, at: view.cursor, origin: run.origin, page },
        key,
      );
      if (action?.do === "move") run.to = action.to;
      // No key but Tab goes on to the notebook; it has no shortcut that is meant for the inside of the grid.
      if (event.key !== "Tab") event.stopPropagation();
      if (!action) return;
      event.preventDefault();
      act(action);
    },
    signal,
  );
  const setFocused = () => {
    view.focused = grid.matches(":focus");
    viewport.classList.toggle("hg-focused", view.focused);
    if (!view.focused) viewport.classList.remove("hg-pointer-focus");
    changed();
  };
  on(grid, "focus", setFocused, signal);
  on(grid, "blur", setFocused, signal);
  const scrolled = () => {
    // Another cell came under the resting pointer; the next move tells which.
    if (!view.brush) view.hover = null;
    changed();
  };
  on(viewport, "scroll", scrolled, signal, { passive: true });
  listenToPointer(
    {
      element: grid,
      viewport,
      view,
      editor,
      cells: () => view.cells,
      geometry: port.geometry,
      positionOf: (node) => ariaGrid.positionOf(node),
      pressed: (position) => {
        view.byKey = false;
        point(position);
      },
      released: (position) => events.visited(position, false),
      changed,
    },
    signal,
  );
  /** Another zoom of the page, or another screen: everything is painted again, as sharp as it can be. */
  const followRatio = () => {
    const query = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    const again = () => {
      refresh();
      followRatio();
    };
    on(query, "change", again, signal, { once: true });
  };
  followRatio();

  return {
    element: viewport,
    focus: () => grid.focus({ preventScroll: true }),
    visit: (position) => {
      Object.assign(view, { anchor: position, base: null });
      visit(position, false);
      port.reveal(position);
    },
    fitTo: port.fitTo,
    refresh: () => (port.laid() && port.laid() !== view.cells ? port.restart() : refresh()),
    recolor: () => {
      setPalette();
      refresh();
    },
    picture: () => {
      const geometry = port.geometry();
      return geometry && sceneOf(geometry);
    },
    cellSide: () => port.geometry()?.cell ?? 0,
    zoom: port.zoom,
    zoomed: port.zoomed,
    rectOfPosition: port.rectOfPosition,
    pictureOf: (position) => {
      const geometry = port.geometry();
      return geometry && palette ? lens.pictureOf(sceneOf(geometry), position, palette, measure) : {};
    },
  };
}
