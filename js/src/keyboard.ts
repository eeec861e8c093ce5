/** What a key means in the grid, and where the cursor goes. Pure: a key and a place in, an action out. */
import { type Cells, isLabelled, type Line, linesOf, numberAt, type Spot } from "./cells";
import { columnNear, type Geometry, rectOf } from "./geometry";

export interface Key {
  key: string;
  shift: boolean;
  control: boolean;
  alt: boolean;
}

export type Action =
  | { do: "move"; to: Spot; extend: boolean }
  | { do: "toggle" | "all" | "invert" | "query" | "help" | "escape" };

/** All keys, as the help lists them. */
export const HELP: readonly [keys: string, meaning: string][] = [
  ["Click", "switch a head on or off; on a header its whole row or column; on the corner the whole block"],
  [
    "Drag",
    "do to a block what a click does to its first cell: add from an empty one, remove from a selected one",
  ],
  ["Alt drag", "always remove"],
  ["Shift click", "add the block from the last cell to this one"],
  ["← ↑ → ↓", "move; further left and up to the headers"],
  ["Shift arrows", "add the block while moving"],
  ["Space, Enter", "switch on or off"],
  ["Home, End", "first or last in the row; with Ctrl in the grid"],
  ["Page Up, Page Down", "move by a page"],
  ["A", "select everything"],
  ["I", "invert"],
  ["Escape", "cancel the drag, or clear the selection"],
  ["/", "write the selection as text"],
  ["?", "this help"],
  ["◣", "partly selected: some of its weights are"],
  ["▨", "its output weights are all zero"],
  ["•", "no value, where the cells are coloured by one"],
];

function exists(cells: Cells, spot: Spot): boolean {
  const band = cells.bands[spot.band];
  if (!band || spot.row >= band.rows.length || spot.column >= band.columns.length) return false;
  if (spot.row < 0 || spot.column < 0) return !isLabelled(band);
  return numberAt(cells, spot) >= 0;
}

/** The spot of another row that lies straight above or below. */
function across(cells: Cells, geometry: Geometry, from: Spot, line: Line): Spot {
  if (from.band === line.band) return { ...line, column: from.column };
  const to = { ...line, column: 0 };
  if (from.column < 0) return isLabelled(cells.bands[line.band]!) ? to : { ...line, column: -1 };
  const rect = rectOf(geometry, from);
  return { ...line, column: columnNear(geometry, line.band, rect.x + rect.width / 2) };
}

function vertical(cells: Cells, geometry: Geometry, from: Spot, steps: number): Spot {
  const lines = linesOf(cells);
  const at = lines.findIndex((line) => line.band === from.band && line.row === from.row);
  const direction = Math.sign(steps);
  const wanted = Math.max(0, Math.min(lines.length - 1, at + steps));
  const candidates: number[] = [];
  for (let k = wanted; k >= 0 && k < lines.length; k += direction) candidates.push(k);
  for (let k = wanted - direction; (k - at) * direction > 0; k -= direction) candidates.push(k);
  for (const k of candidates) {
    const spot = across(cells, geometry, from, lines[k]!);
    if (exists(cells, spot)) return spot;
  }
  return from;
}

function horizontal(cells: Cells, from: Spot, start: number, direction: number): Spot {
  const width = cells.bands[from.band]!.columns.length;
  for (let column = start; column >= -1 && column < width; column += direction) {
    const spot = { ...from, column };
    if (exists(cells, spot)) return spot;
  }
  return from;
}

/** The first or the last cell of the grid, or of its bands from a given one on. */
export function endOf(cells: Cells, last: boolean, from = 0): Spot {
  const lines = linesOf(cells).filter((line) => line.row >= 0 && line.band >= from);
  if (last) lines.reverse();
  for (const line of lines) {
    const width = cells.bands[line.band]!.columns.length;
    for (let k = 0; k < width; k++) {
      const spot = { ...line, column: last ? width - 1 - k : k };
      if (exists(cells, spot)) return spot;
    }
  }
  return { band: 0, row: 0, column: 0 };
}

/** Where the cursor goes for a key that moves it; null for any other key. */
export function move(cells: Cells, geometry: Geometry, at: Spot, key: Key, page: number): Spot | null {
  const width = cells.bands[at.band]?.columns.length ?? 0;
  switch (key.key) {
    case "ArrowUp":
      return vertical(cells, geometry, at, -1);
    case "ArrowDown":
      return vertical(cells, geometry, at, 1);
    case "PageUp":
      return vertical(cells, geometry, at, -page);
    case "PageDown":
      return vertical(cells, geometry, at, page);
    case "ArrowLeft":
      return horizontal(cells, at, at.column - 1, -1);
    case "ArrowRight":
      return horizontal(cells, at, at.column + 1, 1);
    case "Home":
      return key.control ? endOf(cells, false) : horizontal(cells, at, 0, 1);
    case "End":
      return key.control ? endOf(cells, true) : horizontal(cells, at, width - 1, -1);
    default:
      return null;
  }
}

/** What a key does; null for a key that is not the grid's. */
export function actionOf(cells: Cells, geometry: Geometry, at: Spot, key: Key, page: number): Action | null {
  if (key.alt) return null;
  const to = move(cells, geometry, at, key, page);
  if (to) return { do: "move", to, extend: key.shift };
  const name = key.key.toLowerCase();
  if (name === "a") return { do: "all" };
  if (key.control) return null;
  if (name === " " || name === "enter") return { do: "toggle" };
  if (name === "i") return { do: "invert" };
  if (name === "/") return { do: "query" };
  if (name === "?") return { do: "help" };
  if (name === "escape") return { do: "escape" };
  return null;
}
