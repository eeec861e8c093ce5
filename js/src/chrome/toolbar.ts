/** The toolbar: undo and redo, edits of the selection, zoom, pictures and help. */

import { button, icon, make, on, setOff } from "../dom/elements";
import { rovingFocus } from "../dom/roving";
import type { History } from "../model/wire";

export interface ToolEvents {
  undo(): void;
  redo(): void;
  clear(): void;
  all(): void;
  invert(): void;
  /** Turns look mode on or off. */
  look(): void;
  zoom(by: -1 | 0 | 1): void;
  /** Opens or closes the menu of pictures, under its button. */
  pictures(): void;
  help(): void;
}

export interface ToolState {
  live: boolean;
  /** Whether clicks look, and select nothing. */
  looking: boolean;
  history: History;
  zoomed: { canGrow: boolean; canShrink: boolean; fits: boolean };
}

export interface Tools {
  element: HTMLElement;
  /** What opens the menu of pictures. */
  picture: HTMLElement;
  /** The help was opened, or closed. */
  helped(open: boolean): void;
  update(state: ToolState): void;
}

const BACK = "M6 3 3 6l3 3M3.5 6h6a3.5 3.5 0 0 1 0 7H6";
const FIT = "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10";
const PICTURE = "M8 2.5v7.5M5 7l3 3 3-3M2.5 11v2.5h11V11";
export const LOST = "there is no kernel";

export function makeTools(events: ToolEvents, signal: AbortSignal): Tools {
  const drawn = (path: string, name: string, run: () => void, turned = "", more = {}) =>
    button(
      icon(path, turned ? { transform: turned } : {}),
      { class: "hg-button hg-icon", "aria-label": name, ...more },
      run,
      signal,
    );
  const undo = drawn(BACK, "Undo", events.undo);
  const redo = drawn(BACK, "Redo", events.redo, "matrix(-1 0 0 1 16 0)");
  const look = button("Look", { "aria-pressed": "false" }, events.look, signal);
  const shrink = drawn("M3 8h10", "Smaller cells", () => events.zoom(-1));
  const fit = drawn(FIT, "Fit the grid", () => events.zoom(0));
  const grow = drawn("M3 8h10M8 3v10", "Larger cells", () => events.zoom(1));
  const edits = (
    [
      ["Clear", "Clear the whole selection (Escape)", events.clear],
      ["All", "Select the whole model (A)", events.all],
      ["Invert", "Invert the selection in the whole model (I)", events.invert],
    ] as const
  ).map(([label, title, run]) => ({ node: button(label, {}, run, signal), title }));
  const picture = drawn(PICTURE, "Save a picture", events.pictures, "", {
    title: "Save a picture of the grid",
    "aria-haspopup": "menu",
    "aria-expanded": "false",
  });
  on(
    picture,
    "keydown",
    (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      picture.click();
    },
    signal,
  );
  const help = button(
    "?",
    { "aria-label": "? Help", title: "Help (?)", "aria-expanded": "false" },
    events.help,
    signal,
  );
  const group = (name: string, ...nodes: Node[]) =>
    make("span", { class: "hg-toolgroup", role: "group", "aria-label": name }, ...nodes);
  const element = make(
    "div",
    { class: "hg-tools", role: "toolbar", "aria-label": "Selection and view" },
    group("History", undo, redo),
    group("Selection", look, ...edits.map(({ node }) => node)),
    group("Zoom", shrink, fit, grow),
    group("More", make("span", { class: "hg-anchor" }, picture), help),
  );
  const row = rovingFocus(element, signal);
  return {
    element,
    picture,
    helped: (open) => help.setAttribute("aria-expanded", String(open)),
    update: ({ live, looking, history, zoomed }) => {
      const set = (node: HTMLElement, can: boolean, title: string, why: string) =>
        setOff(node, !can, can ? title : `${title}: ${why}`);
      set(undo, live && history.undo > 0, "Undo (Ctrl+Z)", live ? "nothing was done yet" : LOST);
      set(redo, live && history.redo > 0, "Redo (Ctrl+Shift+Z)", live ? "nothing was undone" : LOST);
      look.setAttribute("aria-pressed", String(looking));
      set(
        look,
        live,
        looking ? "Clicks look; press: they select (L)" : "Clicks select; press: they look (L)",
        LOST,
      );
      for (const { node, title } of edits) set(node, live, title, LOST);
      set(shrink, zoomed.canShrink, "Smaller cells (-)", "they are at their smallest");
      fit.title = zoomed.fits ? "Cells of a readable size (0)" : "Fit the whole grid (0)";
      set(grow, zoomed.canGrow, "Larger cells (+)", "they are at their largest");
      row.update();
    },
  };
}
