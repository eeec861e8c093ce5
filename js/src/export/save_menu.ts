/** The menu that saves a picture of the grid. */
import { makeMenu } from "../dom/menu";
import { readPalette } from "../dom/theme";
import type { Grid } from "../grid/grid";
import type { Sync } from "../model/sync";
import type { View } from "../model/view";
import { savePicture } from "./picture";

/** Puts the menu under its button. Returns what opens and closes it. */
export function makeSaveMenu(
  opener: HTMLElement,
  { sync, view, grid, say }: { sync: Sync; view: View; grid: Grid; say: (sentence: string) => void },
  signal: AbortSignal,
): () => void {
  const save = async (kind: "png" | "svg") => {
    const scene = grid.picture();
    if (!scene) return;
    const { selection, counts } = sync.text;
    const marks = sync.saved.map(({ name }) => name).filter((name) => view.marks.includes(name));
    const { model, stacks } = view.cells;
    const stack = stacks.find(({ name }) => name === view.stack)?.label;
    const title = stack ? `${model}, ${stack}` : model;
    try {
      await savePicture(kind, scene, readPalette(grid.element), title, { selection, counts, marks });
      say("picture saved");
    } catch (error) {
      say(`no picture was saved: ${error}`);
    }
  };
  return makeMenu(
    opener,
    [
      ["PNG image", () => void save("png")],
      ["SVG drawing", () => void save("svg")],
    ],
    signal,
  );
}
