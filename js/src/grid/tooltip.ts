/** The tooltip of the cell that the pointer rests on: what stands behind it. The cell's label says the same aloud. */

import { atEnd, make } from "../dom/elements";
import { type BitSet, fromWire, has } from "../model/bits";
import { type CellValues, valueText } from "../model/cell_values";
import { type Cells, nameOf, numberAt, type Position, positionOf, wordOf } from "../model/cells";
import { thousands } from "../model/numbers";
import type { Arrow, SavedSelection } from "../model/wire";
import { carriedText } from "./arrows";

export interface TooltipContent {
  cell: number;
  word: string;
  name: string;
  /** "selected", "partly selected" or "not selected", and whether its output weights are zero. */
  state: string[];
  shapes: readonly string[];
  /** "805 parameters"; "" where nothing says so. */
  count: string;
  note: string;
  /** Its number, where the cells are colored by one. */
  value: string;
  /** "3rd of 144" by that number; "" where there is none. */
  place: string;
  /** What the arrows at it were found to carry on the task: "K from l0h1 carries ...". */
  carried: readonly string[];
  /** The saved selections that have some of it. */
  saved: readonly Pick<SavedSelection, "name" | "color">[];
}

/** What there is to say of a cell; null where there is none. */
export function tooltipOf(
  cells: Cells,
  position: Position,
  on: BitSet,
  partial: BitSet,
  cellValues: CellValues | null,
  saved: readonly SavedSelection[],
  arrows: readonly Arrow[] = [],
  place = "",
): TooltipContent | null {
  const cell = numberAt(cells, position);
  if (cell < 0) return null;
  const band = cells.bands[position.band]!;
  const tooltip = cells.tooltips[band.tooltips?.[band.rows[position.row]!.tooltip]?.[position.column] ?? -1];
  const state = [has(on, cell) ? "selected" : has(partial, cell) ? "partly selected" : "not selected"];
  if (has(cells.zero, cell)) state.push("its output weights are zero");
  return {
    cell,
    word: wordOf(cells, position),
    name: nameOf(cells, position),
    state,
    shapes: tooltip?.shapes ?? [],
    count: tooltip ? `${thousands(tooltip.count)} parameter${tooltip.count === 1 ? "" : "s"}` : "",
    note: tooltip?.note ?? "",
    value: valueText(cellValues, cell),
    place,
    carried: carriedAt(cells, cell, arrows),
    saved: saved.filter((item) => has(fromWire(item.cells, cells.count), cell)),
  };
}

/** What the arrows that come to a cell, and go from it, were found to carry. */
export function carriedAt(cells: Cells, cell: number, arrows: readonly Arrow[]): string[] {
  return arrows.flatMap((arrow) => {
    const { source, target, kind } = arrow;
    const other = positionOf(cells, source === cell ? target : source);
    const text = carriedText(arrow);
    if (!text || !other || (source !== cell && target !== cell)) return [];
    return [`${kind} ${source === cell ? "to" : "from"} ${wordOf(cells, other)} ${text}`];
  });
}

/** What a tooltip says beside the cell's name, in one line. */
export function detailOf({ place, shapes, count, note, carried, saved }: TooltipContent): string {
  const names = saved.map(({ name }) => name).join(", ");
  return [place, count, ...shapes, note, ...carried, names && `saved as ${names}`].filter(Boolean).join("; ");
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Between a tooltip and its cell, in pixels. */
const GAP = 10;

/** A cell with its neighbors, which no tooltip is to cover. */
export function neighborhood({ left, top, right, bottom }: Box): Box {
  const [x, y] = [Math.min(right - left, 40), Math.min(bottom - top, 40)];
  return { left: left - x, top: top - y, right: right + x, bottom: bottom + y };
}

/** Where a tooltip stands: below a place and to the right, or on the other side where that would leave the room. */
export function placed(at: Box, width: number, height: number, room: Box): [left: number, top: number] {
  const right = at.right + GAP;
  const below = at.bottom + GAP;
  const left = right + width <= room.right ? right : Math.max(room.left, at.left - GAP - width);
  const top = below + height <= room.bottom ? below : at.top - GAP - height;
  return [left, top >= room.top ? top : Math.max(room.top, Math.min(below, room.bottom - height))];
}

export interface TooltipView {
  element: HTMLElement;
  /** The pointer is on a cell, whose rectangle in the window is `at`, or on none. */
  show(at: Box | null, content: TooltipContent | null, picture?: () => CardPicture, byKeys?: boolean): void;
}

/** What a tooltip shows beside what it says. */
export interface CardPicture {
  /** The attention pattern of the head. */
  pattern?: HTMLElement | null;
  /** What is around the cell, where cells are small: then the tooltip comes at once, because it is what one reads by. */
  lens?: HTMLElement | null;
}

/** How long a pointer rests on a cell until its tooltip comes, in milliseconds; and on the next one. */
const RESTING = 350;
const NEXT = 120;
const AT_ONCE = 0;

export function makeTooltip(signal: AbortSignal): TooltipView {
  const element = make("div", { class: "hg-tooltip", "aria-hidden": "true", hidden: true });
  let timer = 0;
  let cell = -1;
  /** Until when the next cell's tooltip comes soon, because one has just been there. */
  let warm = 0;
  let here: { at: Box; content: TooltipContent } | null = null;
  let picture: () => CardPicture = () => ({});
  /** What it has to show already, so that it is not painted twice. */
  let made: CardPicture | null = null;
  /** Whether the keyboard brought it, whose Escape means the grid then. */
  let isKeys = false;
  /** What was drawn, as text: while it stays the same nothing is laid out. */
  let drawn = "";

  const draw = () => {
    if (!here || !element.parentElement) return;
    const { at, content } = here;
    const { word, name, state, shapes, count, note, value, place, carried, saved } = content;
    const text = JSON.stringify(here);
    if (text === drawn && !element.hidden) return;
    drawn = text;
    const row = (kind: string, ...inside: (Node | string)[]) =>
      inside.some((one) => one !== "") ? [make("div", { class: kind }, ...inside)] : [];
    const { pattern, lens } = made ?? picture();
    made = null;
    const said = [
      ...row("hg-title", make("code", { class: "hg-word" }, word), name),
      ...row("hg-muted", state.join(", ")),
      ...row("hg-value", value && place ? `${value}, ${place}` : value),
      ...carried.flatMap((one) => row("", one)),
      ...shapes.flatMap((shape) => row("hg-shape", shape)),
      ...row("", count),
      ...row("hg-muted", note),
      ...saved.flatMap((one) =>
        row("hg-saved-in", make("i", { style: `background:${colorOf(one.color)}` }), one.name),
      ),
    ];
    element.classList.toggle("hg-pictured", Boolean(pattern));
    element.replaceChildren(...(lens ? [lens] : []), ...(pattern ? [pattern] : []), make("div", {}, ...said));
    element.hidden = false;
    const root = element.parentElement.getBoundingClientRect();
    // Within the window and the widget: an output of a notebook cuts off, or scrolls to, what is beyond it.
    const { clientWidth, clientHeight } = document.documentElement;
    const room = {
      left: Math.max(root.left, 0) + 4,
      top: Math.max(root.top, 0) + 4,
      right: Math.min(root.right, clientWidth) - 4,
      bottom: Math.min(root.bottom, clientHeight) - 4,
    };
    const [left, top] = placed(neighborhood(at), element.offsetWidth, element.offsetHeight, room);
    const { clientLeft, clientTop } = element.parentElement;
    element.style.left = `${left - root.left - clientLeft}px`;
    element.style.top = `${top - root.top - clientTop}px`;
  };
  const hide = () => {
    clearTimeout(timer);
    timer = 0;
    here = null;
    if (element.hidden) return;
    element.hidden = true;
    warm = performance.now() + 2 * RESTING;
  };

  const listen = (type: string, handler: (event: Event) => void) =>
    window.addEventListener(type, handler, { signal, capture: true, passive: type !== "keydown" });
  // A tooltip that went away by a press, a scroll or a key comes back on another cell only.
  listen("pointerdown", hide);
  listen("wheel", hide);
  listen("scroll", hide);
  listen("blur", hide);
  listen("keydown", (event) => {
    if (element.hidden) return;
    hide();
    // A tooltip that is there is what Escape takes away, and not the selection.
    const inside = element.parentElement && event.composedPath().includes(element.parentElement);
    if (inside && !isKeys && (event as KeyboardEvent).key === "Escape") {
      event.stopPropagation();
      event.preventDefault();
    }
  });
  atEnd(signal, hide);

  return {
    element,
    show: (at, content, shown = () => ({}), byKeys = false) => {
      [picture, isKeys] = [shown, byKeys];
      if (!at || !content) {
        hide();
        cell = -1;
      } else if (content.cell !== cell) {
        hide();
        cell = content.cell;
        here = { at, content };
        made = shown();
        timer = window.setTimeout(draw, made.lens ? AT_ONCE : performance.now() < warm ? NEXT : RESTING);
      } else if (here) {
        here = { at, content };
        if (!element.hidden) draw();
      }
    },
  };
}

/** A color as Python sends it; what is none could be any style. */
function colorOf(text: string): string {
  return /^#[0-9a-f]{3,8}$/i.test(text) ? text : "currentColor";
}
