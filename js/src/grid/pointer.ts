/** Turns pointer events over the grid into hovers, clicks and brushes. */

import { atEnd } from "../chrome/dom";
import { type Cells, exists, type Spot, sameSpot } from "../model/cells";
import type { Editor } from "../model/editor";
import { clamp } from "../model/numbers";
import type { View } from "../model/view";
import { columnNear, type Geometry, hit, rowNear } from "./geometry";

export interface Surface {
  element: HTMLElement;
  viewport: HTMLElement;
  view: View;
  editor: Editor;
  cells(): Cells;
  geometry(): Geometry | null;
  /** The spot of an element of the accessible layer. */
  spotOf(node: HTMLElement): Spot | null;
  /** A spot was pressed: it takes the cursor. */
  pressed(spot: Spot): void;
  /** What was to be done with it is done: the inspector describes it. Later, so that no click waits for the reading. */
  released(spot: Spot): void;
  /** Something that is drawn changed. */
  changed(): void;
}

/** How long a finger rests until it brushes, in milliseconds, and how far it may stray meanwhile, in pixels. */
const LONG = 400;
const STRAY = 10;
/** How far above a header a drag has to be held for the grid to scroll. */
const EDGE = 18;

const isCell = ({ row, column }: Spot) => row >= 0 && column >= 0;

export function listenToPointer(surface: Surface, signal: AbortSignal): void {
  const { element, viewport, view, editor } = surface;
  /** What the pointer went down on; null once that became a brush, or was given up. */
  let pressed: { spot: Spot; at: { x: number; y: number } } | null = null;
  let pointer = { x: 0, y: 0 };
  /** The pointer that brushes; one brush at a time. */
  let captured = -1;
  let scrolling = 0;
  let resting = 0;

  const place = () => {
    const box = element.getBoundingClientRect();
    return { x: pointer.x - box.left, y: pointer.y - box.top };
  };

  const spotHere = (): Spot | null => {
    const geometry = surface.geometry();
    const { x, y } = place();
    const scroll = { x: viewport.scrollLeft, y: viewport.scrollTop };
    const spot = geometry && hit(surface.cells(), geometry, x, y, scroll);
    return spot && exists(surface.cells(), spot) ? spot : null;
  };

  const stretch = () => {
    const geometry = surface.geometry();
    if (!view.brush || !geometry) return;
    const { x, y } = place();
    const { band } = view.brush.from;
    const rows = surface.cells().bands[band]!.rows.length;
    const to = { band, row: rowNear(geometry, band, rows, y), column: columnNear(geometry, band, x) };
    if (sameSpot(to, view.brush.to) && sameSpot(to, view.hover)) return;
    view.brush = { ...view.brush, to };
    view.hover = to;
    surface.changed();
  };

  /** While a drag is held beyond an edge, the grid scrolls under it. */
  const scrollOn = () => {
    scrolling = 0;
    const box = viewport.getBoundingClientRect();
    const past = (at: number, low: number, high: number) => (at < low ? at - low : at > high ? at - high : 0);
    const dx = past(pointer.x, box.left + (surface.geometry()?.side ?? 0), box.right);
    const dy = past(pointer.y, box.top + EDGE, box.bottom);
    if (!view.brush || (!dx && !dy)) return;
    viewport.scrollBy(clamp(dx / 2, -24, 24), clamp(dy / 2, -24, 24));
    stretch();
    scrolling = requestAnimationFrame(scrollOn);
  };

  const startBrush = (spot: Spot, event: PointerEvent) => {
    editor.startBrush(spot, event.altKey);
    if (!view.brush) return;
    captured = event.pointerId;
    element.setPointerCapture(captured);
  };

  const cancel = () => {
    clearTimeout(resting);
    pressed = null;
    captured = -1;
    view.brush = null;
    view.hover = null;
    surface.changed();
  };

  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (event: HTMLElementEventMap[K]) => void,
  ) => element.addEventListener(type, listener, { signal, passive: false });

  on("pointerdown", (event) => {
    // A second finger means a pinch. On a Mac, a click with Ctrl means the menu.
    if (!event.isPrimary) return cancel();
    if (event.button !== 0 || (event.ctrlKey && /Mac/.test(navigator.userAgent))) return;
    pointer = { x: event.clientX, y: event.clientY };
    const spot = spotHere();
    if (!spot) return;
    event.preventDefault();
    viewport.classList.add("hg-pointed");
    element.focus({ preventScroll: true });
    pressed = { spot, at: pointer };
    if (event.pointerType === "touch") {
      view.hover = spot;
      clearTimeout(resting);
      if (isCell(spot)) resting = window.setTimeout(() => rest(event), LONG);
      return surface.changed();
    }
    if (event.shiftKey && isCell(spot)) {
      pressed = null;
      editor.extend(spot);
      surface.released(spot);
    } else if (isCell(spot)) {
      startBrush(spot, event);
    }
    surface.pressed(spot);
  });

  /** A finger has rested on a cell: from now on it brushes. */
  const rest = (event: PointerEvent) => {
    if (!pressed) return;
    startBrush(pressed.spot, event);
    navigator.vibrate?.(12);
    surface.pressed(pressed.spot);
  };

  on("pointermove", (event) => {
    if (!event.isPrimary) return;
    pointer = { x: event.clientX, y: event.clientY };
    if (view.brush) {
      stretch();
      scrolling ||= requestAnimationFrame(scrollOn);
      return;
    }
    if (pressed && Math.hypot(pointer.x - pressed.at.x, pointer.y - pressed.at.y) > STRAY)
      clearTimeout(resting);
    if (event.pointerType === "touch") return;
    const spot = spotHere();
    if (sameSpot(spot, view.hover)) return;
    view.hover = spot;
    element.style.cursor = spot ? "pointer" : "";
    surface.changed();
  });

  on("pointerup", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    pointer = { x: event.clientX, y: event.clientY };
    clearTimeout(resting);
    const { brush } = view;
    const start = pressed;
    const brushing = captured === event.pointerId;
    pressed = null;
    captured = -1;
    if (brush) editor.endBrush(brush);
    else if (start && !brushing && view.live && sameSpot(start.spot, spotHere())) {
      // Only now it is known that the finger did not mean to scroll.
      if (event.pointerType === "touch") surface.pressed(start.spot);
      editor.toggle(start.spot);
    }
    if (event.pointerType === "touch") view.hover = null;
    if (start && (brush || sameSpot(start.spot, spotHere()))) surface.released(start.spot);
    surface.changed();
  });

  on("pointercancel", cancel);
  on("lostpointercapture", () => captured >= 0 && cancel());
  on("pointerleave", () => {
    if (view.brush) return;
    // It may be released elsewhere, of which nothing is heard here.
    pressed = null;
    view.hover = null;
    surface.changed();
  });
  // Pages scroll under a finger, unless it brushes; whether it will is not known when it goes down.
  on("touchmove", (event) => view.brush && event.cancelable && event.preventDefault());
  // A long press is ours.
  on("contextmenu", (event) => view.brush && event.preventDefault());

  // A screen reader's click comes without a pointer.
  on("click", (event) => {
    const spot =
      event.detail === 0 && event.target instanceof HTMLElement ? surface.spotOf(event.target) : null;
    if (!spot) return;
    editor.toggle(spot);
    surface.pressed(spot);
    surface.released(spot);
  });

  atEnd(signal, () => {
    cancelAnimationFrame(scrolling);
    clearTimeout(resting);
  });
}
