/** The viewport of the grid: its zoom, its scrolling, and where a position is on the page. */

import { make, on } from "../dom/elements";
import type { Cells, Position } from "../model/cells";
import { clamp } from "../model/numbers";
import type { View, Zoom } from "../model/view";
import { type Geometry, LARGEST, type Point, type Rect, rectOf } from "./geometry";
import { arrange, HUGEST, mapPoint, stepped, wheeled } from "./zoom";

export interface Viewport {
  element: HTMLElement;
  geometry(): Geometry | null;
  /** The cells that the geometry is of. */
  laid(): Cells | null;
  scroll(): Point;
  /** The part of the content that is in sight. */
  size(): { width: number; height: number };
  /** Lays the cells out for a width. */
  fitTo(width: number): void;
  /** Lays other cells out than before, from their beginning. */
  restart(): void;
  /** Scrolls as little as needed to show a position clear of the headers. */
  reveal(position: Position): void;
  zoom(by: -1 | 0 | 1): void;
  zoomed(): { canGrow: boolean; canShrink: boolean; fits: boolean };
  rectOfPosition(position: Position): DOMRect | null;
}

const TALLEST = 560;
/** The width that a scroll bar takes. */
const BAR = 14;

export function makeViewport(
  view: View,
  children: HTMLElement[],
  measure: (text: string) => number,
  changed: () => void,
  signal: AbortSignal,
): Viewport {
  const stage = make("div", { class: "hg-stage" }, ...children);
  const element = make("div", { class: "hg-viewport" }, stage);
  let geometry: Geometry | null = null;
  let laid: Cells | null = null;
  let room = 0;

  const scroll = () => ({ x: element.scrollLeft, y: element.scrollTop });

  const lay = () => {
    if (room <= 0) return;
    const { cells, zoom, patterns } = view;
    // Patterns are looked at, and not only clicked: their cells take what room there is.
    const most = patterns ? HUGEST : LARGEST;
    geometry = arrange(cells, room, TALLEST, measure, zoom, most);
    if (geometry.height > TALLEST && typeof zoom !== "number")
      geometry = arrange(cells, room - BAR, TALLEST, measure, zoom, most);
    laid = cells;
    const { width, height } = geometry;
    const bars = { down: height > TALLEST ? BAR : 0, across: width > room ? BAR : 0 };
    stage.style.cssText = `width:${width}px;height:${height}px`;
    element.style.cssText = `max-height:${TALLEST + bars.across}px;width:${Math.min(room, width + bars.down)}px`;
    changed();
  };

  /** The rectangle of a position in the viewport; null where the headers cover it or it is scrolled away. */
  const inSight = (position: Position): Rect | null => {
    const band = geometry?.bands[position.band];
    if (!geometry || !band) return null;
    const { x, y } = scroll();
    const rect = rectOf(geometry, position, { x, y });
    const [left, top] = [rect.x - x, rect.y - y];
    const side = band.labeled || position.column === -1 ? 0 : geometry.side;
    const head = position.row < 0 ? 0 : band.head;
    if (left + rect.width <= side || left >= element.clientWidth) return null;
    if (top + rect.height <= Math.min(head, band.rows - y) || top >= element.clientHeight) return null;
    return { ...rect, x: left, y: top };
  };

  /** Lays out anew such that what is at a point of the viewport stays there. */
  const zoomTo = (zoom: Zoom, at: Point) => {
    if (!geometry || zoom === view.zoom) return;
    const before = geometry;
    const { x, y } = scroll();
    view.zoom = zoom;
    lay();
    const to = mapPoint(before, geometry, { x: x + at.x, y: y + at.y });
    element.scrollTo({ left: to.x - at.x, top: to.y - at.y, behavior: "instant" });
    changed();
  };

  const zoomed = () => {
    const cell = geometry?.cell ?? 1;
    return {
      canGrow: stepped(cell, 1) > cell,
      canShrink: stepped(cell, -1) < cell,
      fits: view.zoom === "whole",
    };
  };

  const reveal = (position: Position) => {
    if (!geometry) return;
    const { x, y } = scroll();
    const rect = rectOf(geometry, position, { x, y });
    const band = geometry.bands[position.band]!;
    const side = band.labeled ? 0 : geometry.side;
    const [right, bottom] = [
      rect.x + rect.width + 4 - element.clientWidth,
      rect.y + rect.height + 4 - element.clientHeight,
    ];
    if (position.column !== -1) element.scrollLeft = clamp(x, right, rect.x - side - 4);
    if (position.row >= 0) element.scrollTop = clamp(y, bottom, rect.y - band.head - 4);
    else if (band.top < y || bottom > y) element.scrollTop = clamp(y, bottom, band.top);
  };

  /** What a wheel has turned so far, in cells' sizes, which are whole. */
  let turned = 0;
  const wheel = (event: WheelEvent) => {
    if (!(event.ctrlKey || event.metaKey) || !geometry) return;
    event.preventDefault();
    if (Math.round(turned) !== geometry.cell) turned = geometry.cell;
    turned = wheeled(turned, event.deltaY * (event.deltaMode ? 16 : 1));
    const box = element.getBoundingClientRect();
    const next = Math.round(turned);
    if (next !== geometry.cell) zoomTo(next, { x: event.clientX - box.left, y: event.clientY - box.top });
  };
  on(element, "wheel", wheel, signal, { passive: false });

  return {
    element,
    geometry: () => geometry,
    laid: () => laid,
    scroll,
    size: () => ({
      width: Math.min(element.clientWidth, geometry?.width ?? 0),
      height: Math.min(element.clientHeight, geometry?.height ?? 0),
    }),
    fitTo: (width) => {
      room = width;
      lay();
    },
    restart: () => {
      element.scrollTo({ left: 0, top: 0, behavior: "instant" });
      lay();
      if (view.visited) reveal(view.cursor);
    },
    reveal,
    zoom: (by) => {
      if (!geometry) return;
      const rect = (view.visited && inSight(view.cursor)) || {
        ...{ x: 0, y: 0, width: element.clientWidth, height: element.clientHeight },
      };
      const at = { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
      const whole = view.zoom === "whole" ? "readable" : "whole";
      zoomTo(by === 0 ? whole : stepped(geometry.cell, by), at);
    },
    zoomed,
    rectOfPosition: (position) => {
      const rect = inSight(position);
      const box = element.getBoundingClientRect();
      return rect && new DOMRect(box.left + rect.x, box.top + rect.y, rect.width, rect.height);
    },
  };
}
