/** Turns pointer events over the grid into hovers, clicks and brushes. */

import { atEnd } from "../dom/elements";
import { type Cells, exists, type Position, samePosition } from "../model/cells";
import type { Editor } from "../model/editor";
import { clamp } from "../model/numbers";
import type { View } from "../model/view";
import { columnNear, type Geometry, hit, rowNear } from "./geometry";

export interface PointerTarget {
  element: HTMLElement;
  viewport: HTMLElement;
  view: View;
  editor: Editor;
  cells(): Cells;
  geometry(): Geometry | null;
  /** The position of an element of the accessible grid. */
  positionOf(node: HTMLElement): Position | null;
  /** A position was pressed: it takes the cursor. */
  pressed(position: Position): void;
  /** What was to be done with it is done: the inspector describes it. Later, so that no click waits for the reading. */
  released(position: Position): void;
  /** Something that is drawn changed. */
  changed(): void;
}

/** How long a finger rests until it brushes, in milliseconds, and how far it may stray meanwhile, in pixels. */
const LONG = 400;
const STRAY = 10;
/** How far above a header a drag has to be held for the grid to scroll. */
const EDGE = 18;

const isCell = ({ row, column }: Position) => row >= 0 && column >= 0;

export function listenToPointer(target: PointerTarget, signal: AbortSignal): void {
  const { element, viewport, view, editor } = target;
  /** What the pointer went down on; null once that became a brush, or was given up. */
  let pressed: { position: Position; at: { x: number; y: number }; looks: boolean } | null = null;
  let pointer = { x: 0, y: 0 };
  /** The pointer that brushes; one brush at a time. */
  let captured = -1;
  let scrolling = 0;
  let resting = 0;

  const pointerPosition = () => {
    const box = element.getBoundingClientRect();
    return { x: pointer.x - box.left, y: pointer.y - box.top };
  };

  const positionHere = (): Position | null => {
    const geometry = target.geometry();
    const { x, y } = pointerPosition();
    const scroll = { x: viewport.scrollLeft, y: viewport.scrollTop };
    const position = geometry && hit(target.cells(), geometry, x, y, scroll);
    return position && exists(target.cells(), position) ? position : null;
  };

  const stretch = () => {
    const geometry = target.geometry();
    if (!view.brush || !geometry) return;
    const { x, y } = pointerPosition();
    const { band } = view.brush.from;
    const rows = target.cells().bands[band]!.rows.length;
    const to = { band, row: rowNear(geometry, band, rows, y), column: columnNear(geometry, band, x) };
    if (samePosition(to, view.brush.to) && samePosition(to, view.hover)) return;
    view.brush = { ...view.brush, to };
    view.hover = to;
    target.changed();
  };

  /** While a drag is held beyond an edge, the grid scrolls under it. */
  const scrollOn = () => {
    scrolling = 0;
    const box = viewport.getBoundingClientRect();
    const past = (at: number, low: number, high: number) => (at < low ? at - low : at > high ? at - high : 0);
    const dx = past(pointer.x, box.left + (target.geometry()?.side ?? 0), box.right);
    const dy = past(pointer.y, box.top + EDGE, box.bottom);
    if (!view.brush || (!dx && !dy)) return;
    viewport.scrollBy(clamp(dx / 2, -24, 24), clamp(dy / 2, -24, 24));
    stretch();
    scrolling = requestAnimationFrame(scrollOn);
  };

  /** Whether a click there only looks: in look mode, and on what is selected and was not looked at until now. */
  const looksAt = (position: Position) =>
    view.looking ||
    (isCell(position) && editor.isOn(position) && !(view.visited && samePosition(position, view.cursor)));

  const startBrush = (position: Position, event: PointerEvent) => {
    editor.startBrush(position, event.altKey);
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
    target.changed();
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
    const position = positionHere();
    if (!position) return;
    event.preventDefault();
    viewport.classList.add("hg-pointer-focus");
    element.focus({ preventScroll: true });
    pressed = { position, at: pointer, looks: view.looking || (!event.altKey && looksAt(position)) };
    if (event.pointerType === "touch") {
      view.hover = position;
      clearTimeout(resting);
      if (isCell(position)) resting = window.setTimeout(() => rest(event), LONG);
      return target.changed();
    }
    if (event.shiftKey && isCell(position) && !view.looking) {
      pressed = null;
      editor.extend(position);
      target.released(position);
    } else if (isCell(position) && !pressed.looks) {
      startBrush(position, event);
    }
    target.pressed(position);
  });

  /** A finger has rested on a cell: from now on it brushes. */
  const rest = (event: PointerEvent) => {
    if (!pressed) return;
    if (view.looking) return;
    startBrush(pressed.position, event);
    navigator.vibrate?.(12);
    target.pressed(pressed.position);
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
    const position = positionHere();
    if (
      pressed?.looks &&
      !view.looking &&
      isCell(pressed.position) &&
      !samePosition(position, pressed.position)
    ) {
      startBrush(pressed.position, event); // a drag from what is selected takes out, as one from elsewhere adds
      return stretch();
    }
    if (samePosition(position, view.hover)) return;
    view.hover = position;
    element.style.cursor = position ? "pointer" : "";
    target.changed();
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
    else if (start && !brushing && view.live && samePosition(start.position, positionHere())) {
      // Only now it is known that the finger did not mean to scroll.
      if (event.pointerType === "touch") target.pressed(start.position);
      if (!start.looks) editor.toggle(start.position);
    }
    if (event.pointerType === "touch") view.hover = null;
    if (start && (brush || samePosition(start.position, positionHere()))) target.released(start.position);
    target.changed();
  });

  on("pointercancel", cancel);
  on("lostpointercapture", () => captured >= 0 && cancel());
  on("pointerleave", () => {
    if (view.brush) return;
    // It may be released elsewhere, of which nothing is heard here.
    pressed = null;
    view.hover = null;
    target.changed();
  });
  // Pages scroll under a finger, unless it brushes; whether it will is not known when it goes down.
  on("touchmove", (event) => view.brush && event.cancelable && event.preventDefault());
  // A long press is ours.
  on("contextmenu", (event) => view.brush && event.preventDefault());

  // A screen reader's click comes without a pointer.
  on("click", (event) => {
    const position =
      event.detail === 0 && event.target instanceof HTMLElement ? target.positionOf(event.target) : null;
    if (!position) return;
    if (!looksAt(position)) editor.toggle(position);
    target.pressed(position);
    target.released(position);
  });

  atEnd(signal, () => {
    cancelAnimationFrame(scrolling);
    clearTimeout(resting);
  });
}
