/** The grid of one view: a canvas, the accessible layer above it, and the keys and pointers that reach it. */
import { curvesOf, passing } from "./arrows";
import type { Cells, Spot } from "./cells";
import { freshId, make, OWN_KEYS, perFrame } from "./dom";
import type { Editor } from "./editor";
import { arrange, type Geometry, rectOf } from "./geometry";
import { type Action, actionOf } from "./keyboard";
import { Layer } from "./layer";
import { paint } from "./paint";
import { listenToPointer } from "./pointer";
import { saidOf } from "./shades";
import type { Sync } from "./sync";
import { type Palette, readPalette } from "./theme";
import type { View } from "./view";

export interface GridEvents {
  /** The cursor went to a spot; at once by a click, or on its way by a key. */
  visited(spot: Spot, byKey: boolean): void;
  asked(what: "query" | "help"): void;
  /** Hover, cursor or brush changed. */
  changed(): void;
}

export interface Grid {
  element: HTMLElement;
  focus(): void;
  /** Takes the cursor to a spot. */
  visit(spot: Spot): void;
  /** Fits the cells into a width and draws them. */
  fitTo(width: number): void;
  /** Draws again in the next frame. */
  refresh(): void;
  /** Reads the style sheet's colours anew. */
  recolour(): void;
}

const TALLEST = 560;

export function makeGrid(
  sync: Sync,
  view: View,
  editor: Editor,
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
  const stage = make("div", { class: "hg-stage" }, canvas, grid);
  const viewport = make("div", { class: "hg-viewport" }, stage);
  const context = canvas.getContext("2d");
  const layer = new Layer(grid, freshId());
  let geometry: Geometry | null = null;
  let palette: Palette | null = null;
  let drawn: Cells | null = null;
  let room = 0;

  const draw = () => {
    if (!context || !geometry || !palette || drawn !== view.cells) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [
      Math.min(viewport.clientWidth, geometry.width),
      Math.min(viewport.clientHeight, geometry.height),
    ];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const { partial, shades } = sync;
    const { cells, cursor, hover, focused } = view;
    const scroll = { x: viewport.scrollLeft, y: viewport.scrollTop };
    const on = editor.shown;
    const mark = focused || view.visited ? cursor : null;
    const arrows = curvesOf(passing(sync.arrows.arrows, view.arrows, cells), view.arrows, cells, geometry);
    const scene = {
      cells,
      geometry,
      on,
      partial,
      shades,
      arrows,
      focused,
      hover,
      scroll,
      width,
      height,
      ratio,
    };
    paint(context, { ...scene, cursor: mark }, palette);
    const stack = cells.stacks.find((tab) => tab.name === view.stack)?.label;
    grid.ariaLabel = `Parts of ${cells.model || "the model"}${stack ? `, ${stack}` : ""}`;
    grid.ariaReadOnly = String(!view.live);
    if (!view.brush) layer.update({ ...scene, cursor, said: (n) => saidOf(shades, n) });
  };
  const refresh = perFrame(draw, signal);
  const changed = () => {
    refresh();
    events.changed();
  };

  const fitTo = (width: number) => {
    palette ??= readPalette(viewport);
    if (!context || !palette || width <= 0) return;
    room = width;
    context.font = palette.font;
    const measure = (text: string) => context.measureText(text).width;
    geometry = arrange(view.cells, width, TALLEST, measure);
    if (geometry.height > TALLEST) geometry = arrange(view.cells, width - 14, TALLEST, measure);
    drawn = view.cells;
    stage.style.width = `${geometry.width}px`;
    stage.style.height = `${geometry.height}px`;
    viewport.style.maxHeight = `${TALLEST}px`;
    viewport.style.width = `${Math.min(width, geometry.width + (geometry.height > TALLEST ? 14 : 0))}px`;
    refresh();
  };

  /** Scrolls as little as needed to show a spot clear of the headers. */
  const reveal = (spot: Spot) => {
    if (!geometry) return;
    const rect = rectOf(geometry, spot, { x: viewport.scrollLeft, y: viewport.scrollTop });
    const head = geometry.bands[spot.band]!.head;
    const side = geometry.bands[spot.band]!.labelled ? 0 : geometry.side;
    if (spot.column >= 0) {
      const [low, high] = [rect.x + rect.width + 4 - viewport.clientWidth, rect.x - side - 4];
      viewport.scrollLeft = Math.min(high, Math.max(low, viewport.scrollLeft));
    }
    const [low, high] = [rect.y + rect.height + 4 - viewport.clientHeight, rect.y - head - 4];
    if (spot.row >= 0) viewport.scrollTop = Math.min(high, Math.max(low, viewport.scrollTop));
    else if (geometry.bands[spot.band]!.top < viewport.scrollTop || low > viewport.scrollTop) {
      viewport.scrollTop = Math.min(geometry.bands[spot.band]!.top, Math.max(low, viewport.scrollTop));
    }
  };

  const visit = (spot: Spot, byKey: boolean) => {
    view.cursor = spot;
    view.visited = true;
    if (byKey) reveal(spot);
    events.visited(spot, byKey);
    changed();
  };

  const act = (action: Action) => {
    switch (action.do) {
      case "move":
        if (action.extend) {
          view.anchor ??= view.cursor;
          if (view.anchor.row < 0 || view.anchor.column < 0) view.anchor = view.cursor;
          editor.extend(action.to);
        } else {
          view.anchor = action.to;
          view.base = null;
        }
        return visit(action.to, true);
      case "toggle":
        editor.toggle(view.cursor);
        return visit(view.cursor, true);
      case "all":
        return editor.all();
      case "invert":
        return editor.invert();
      case "escape":
        if (!view.brush) return editor.clear();
        view.brush = null;
        return changed();
      default:
        return events.asked(action.do);
    }
  };

  grid.addEventListener(
    "keydown",
    (event) => {
      if (!geometry) return;
      const row = geometry.bands[view.cursor.band];
      const page = Math.max(1, Math.floor(viewport.clientHeight / (row?.pitch ?? 20)) - 1);
      const key = {
        key: event.key,
        shift: event.shiftKey,
        control: event.ctrlKey || event.metaKey,
        alt: event.altKey,
      };
      const action = actionOf(view.cells, geometry, view.cursor, key, page);
      // No key but Tab goes on to the notebook; it has no shortcut that is meant for a place inside of the grid.
      if (event.key !== "Tab") event.stopPropagation();
      if (!action) return;
      event.preventDefault();
      act(action);
    },
    { signal },
  );
  const setFocused = () => {
    view.focused = grid.matches(":focus");
    viewport.classList.toggle("hg-focused", view.focused);
    if (!view.focused) viewport.classList.remove("hg-pointed");
    changed();
  };
  grid.addEventListener("focus", setFocused, { signal });
  grid.addEventListener("blur", setFocused, { signal });
  const scrolled = () => {
    // Another cell came under the resting pointer; the next move tells which.
    if (!view.brush) view.hover = null;
    changed();
  };
  viewport.addEventListener("scroll", scrolled, { signal, passive: true });
  listenToPointer(
    {
      element: grid,
      viewport,
      view,
      editor,
      cells: () => view.cells,
      geometry: () => geometry,
      pressed: (spot) => visit(spot, false),
      changed,
    },
    signal,
  );

  /** Other cells than before are shown: from their beginning, or where the cursor was when they were last shown. */
  const restart = () => {
    viewport.scrollTo(0, 0);
    fitTo(room);
    if (view.visited) reveal(view.cursor);
  };

  return {
    element: viewport,
    focus: () => grid.focus({ preventScroll: true }),
    visit: (spot) => {
      visit(spot, false);
      reveal(spot);
    },
    fitTo,
    refresh: () => (drawn !== view.cells ? restart() : refresh()),
    recolour: () => {
      palette = readPalette(viewport);
      refresh();
    },
  };
}
