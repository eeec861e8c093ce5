/**
 * The frame of a view: which part stands where. Every part has its place from the first paint on, so that nothing moves
 * when answers come; errors, the help and remarks lie over what is not a cell.
 */

import { make } from "../dom/elements";

type Part = { element: HTMLElement };

export interface FrameParts {
  name: HTMLElement;
  badge: { button: HTMLElement; note: HTMLElement };
  notice: HTMLElement;
  tools: Part;
  /** The question that is asked of the grid; it takes no room where there is none. */
  exercise: Part;
  query: Part;
  prompt: HTMLElement;
  /** The tabs of the stacks, and the grid that they choose the content of. */
  tabs: Part;
  grid: HTMLElement;
  colors: Part;
  legend: Part;
  arrows: Part;
  saved: Part;
  start: Part;
  inspector: Part;
  help: Part;
  status: Part;
  /** What lies over all of it: what is said aloud, and the card of the cell under the pointer. */
  over: readonly Part[];
}

export interface Frame {
  element: HTMLElement;
  /** Sets the room of the grid, whether the panel stands beside it, and whether there is room for two boxes in a row. */
  fit(room: number, wide: boolean, width: number): void;
  /** Whether anything is looked at, so that the panel shows it in place of how to begin. */
  looked(isLooked: boolean): void;
}

/** The width from which the query and the prompt stand side by side. */
export const ROOMY_WIDTH = 860;
/** The width below which rows break. */
export const TIGHT_WIDTH = 500;
/** Where what lies under the grid is narrower than this, the menus and the threshold have two lines each. */
const SLIM_WIDTH = 325;

export function makeFrame(parts: FrameParts): Frame {
  const { name, badge, notice, start, inspector, prompt } = parts;
  const identity = make("div", { class: "hg-identity" }, name, badge.button, badge.note);
  const dock = make(
    "div",
    { class: "hg-dock" },
    parts.colors.element,
    parts.legend.element,
    parts.arrows.element,
  );
  const left = make("div", { class: "hg-left" }, parts.tabs.element, parts.grid, dock);
  const aside = make("div", { class: "hg-aside" }, start.element, inspector.element, parts.help.element);
  const element = make(
    "div",
    { class: "headgrid" },
    make("div", { class: "hg-top" }, identity, parts.tools.element),
    parts.exercise.element,
    make("div", { class: "hg-boxes" }, parts.query.element, prompt),
    make("div", { class: "hg-main" }, left, aside),
    parts.saved.element,
    parts.status.element,
    notice,
    ...parts.over.map((part) => part.element),
  );
  return {
    element,
    fit: (room, wide, width) => {
      element.classList.toggle("hg-wide", wide);
      element.classList.toggle("hg-roomy", width >= ROOMY_WIDTH);
      element.classList.toggle("hg-tight", width < TIGHT_WIDTH);
      element.classList.toggle("hg-slim", room < SLIM_WIDTH);
      element.style.setProperty("--hg-width", `${width}px`);
      element.style.setProperty("--hg-room", `${room}px`);
    },
    looked: (isLooked) => {
      start.element.hidden = isLooked;
      inspector.element.hidden = !isLooked;
    },
  };
}
