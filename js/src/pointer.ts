/** Turns pointer events over the grid into hovers, clicks and brushes. */
import { type Cells, numberAt, type Spot, sameSpot } from "./cells";
import type { Editor } from "./editor";
import { columnNear, type Geometry, hit, rowNear } from "./geometry";
import type { View } from "./view";

export interface Surface {
  element: HTMLElement;
  viewport: HTMLElement;
  view: View;
  editor: Editor;
  cells(): Cells;
  geometry(): Geometry | null;
  /** A spot was pressed: it takes the cursor, and the inspector describes it. */
  pressed(spot: Spot): void;
  /** Something that is drawn changed. */
  changed(): void;
}

export function listenToPointer(surface: Surface, signal: AbortSignal): void {
  const { element, viewport, view, editor } = surface;
  let pressed: { spot: Spot; alt: boolean; touch: boolean } | null = null;
  let pointer = { x: 0, y: 0 };
  let scrolling = 0;

  const place = () => {
    const box = element.getBoundingClientRect();
    return { x: pointer.x - box.left, y: pointer.y - box.top };
  };

  const spotHere = (): Spot | null => {
    const geometry = surface.geometry();
    const { x, y } = place();
    const scroll = { x: viewport.scrollLeft, y: viewport.scrollTop };
    const spot = geometry && hit(surface.cells(), geometry, x, y, scroll);
    if (!spot || spot.row < 0 || spot.column < 0) return spot;
    return numberAt(surface.cells(), spot) >= 0 ? spot : null;
  };

  const stretch = () => {
    const geometry = surface.geometry();
    if (!view.brush || !geometry) return;
    const { x, y } = place();
    const { band } = view.brush.from;
    const rows = surface.cells().bands[band]!.rows.length;
    const to = { band, row: rowNear(geometry, band, rows, y), column: columnNear(geometry, band, x) };
    if (!sameSpot(to, view.brush.to)) view.brush = { ...view.brush, to };
    view.hover = to;
    surface.changed();
  };

  /** While a drag is held beyond an edge, the grid scrolls under it. */
  const scrollOn = () => {
    scrolling = 0;
    const box = viewport.getBoundingClientRect();
    const past = (at: number, low: number, high: number) => (at < low ? at - low : at > high ? at - high : 0);
    const dx = past(pointer.x, box.left + (surface.geometry()?.side ?? 0), box.right);
    const dy = past(pointer.y, box.top + 18, box.bottom);
    if (!view.brush || (!dx && !dy)) return;
    viewport.scrollBy(Math.max(-24, Math.min(24, dx / 2)), Math.max(-24, Math.min(24, dy / 2)));
    stretch();
    scrolling = requestAnimationFrame(scrollOn);
  };

  const cancel = () => {
    pressed = null;
    view.brush = null;
    surface.changed();
  };

  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (event: HTMLElementEventMap[K]) => void,
  ) => element.addEventListener(type, listener, { signal });

  on("pointerdown", (event) => {
    if (event.button !== 0 || (event.ctrlKey && /Mac/.test(navigator.userAgent))) return;
    pointer = { x: event.clientX, y: event.clientY };
    const spot = spotHere();
    if (!spot) return;
    event.preventDefault();
    viewport.classList.add("hg-pointed");
    element.focus({ preventScroll: true });
    const isCell = spot.row >= 0 && spot.column >= 0;
    const touch = event.pointerType === "touch";
    if (event.shiftKey && isCell) editor.extend(spot);
    else {
      pressed = { spot, alt: event.altKey, touch };
      if (isCell && !touch) {
        editor.startBrush(spot, event.altKey);
        element.setPointerCapture(event.pointerId);
      }
    }
    surface.pressed(spot);
  });

  on("pointermove", (event) => {
    pointer = { x: event.clientX, y: event.clientY };
    if (view.brush) {
      stretch();
      scrolling ||= requestAnimationFrame(scrollOn);
      return;
    }
    const spot = spotHere();
    if (sameSpot(spot, view.hover)) return;
    view.hover = spot;
    element.style.cursor = spot ? "pointer" : "";
    surface.changed();
  });

  on("pointerup", (event) => {
    if (event.button !== 0) return;
    pointer = { x: event.clientX, y: event.clientY };
    const { brush } = view;
    const start = pressed;
    pressed = null;
    if (brush) editor.endBrush(brush);
    else if (start && view.live && sameSpot(start.spot, spotHere())) editor.toggle(start.spot);
    surface.changed();
  });

  on("pointercancel", cancel);
  on("pointerleave", () => {
    if (view.brush) return;
    view.hover = null;
    surface.changed();
  });

  // A screen reader's click comes without a pointer.
  on("click", (event) => {
    const cell =
      event.detail === 0 && event.target instanceof HTMLElement
        ? event.target.closest<HTMLElement>(".hg-spot")
        : null;
    if (!cell) return;
    const [band = 0, row = 0, column = 0] = cell.id.split("-").slice(-3).map(Number);
    const spot = { band, row: row - 1, column: column - 1 };
    editor.toggle(spot);
    surface.pressed(spot);
  });

  signal.addEventListener("abort", () => cancelAnimationFrame(scrolling));
}
