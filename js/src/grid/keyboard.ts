/** What a key means in the grid, and where the cursor goes. Pure: a key and a position in, an action out. */
import {
  type Cells,
  endCell,
  exists,
  groupAt,
  isLabeled,
  type Line,
  linesOf,
  orderOf,
  type Position,
} from "../model/cells";
import { columnNear, type Geometry, rectOf } from "./geometry";

export interface Key {
  key: string;
  shift: boolean;
  control: boolean;
  alt: boolean;
}

export type Action =
  | { do: "move"; to: Position; extend: boolean }
  | { do: "zoom"; by: -1 | 0 | 1 }
  | {
      do:
        | "toggle"
        | "only"
        | "group"
        | "all"
        | "invert"
        | "undo"
        | "redo"
        | "query"
        | "help"
        | "escape"
        | "look";
    };

/** The cursor of a grid, and what its moves go by. */
export interface Cursor {
  cells: Cells;
  geometry: Geometry;
  at: Position;
  /** Where a run of moves by lines began: its column is kept through lines that have it not. */
  origin: Position;
  /** The lines that PageUp and PageDown move by. */
  page: number;
}

type Rows = readonly [keys: string, meaning: string][];

/** All keys, as the help lists them, in groups. */
export const KEYS: readonly [group: string, rows: Rows][] = [
  [
    "Mouse",
    [
      ["Click", "select a head and look at it; on a selected one: look; again: take it out"],
      ["Click a header", "its whole row, column or block, on or off"],
      [
        "Drag",
        "do to a block what a click does to its first cell: add from an empty one, remove from a selected one",
      ],
      ["Alt drag", "always remove"],
      ["Shift click", "add the block from the last cell to this one"],
      ["Long press", "with a finger: start a drag"],
      ["Ctrl wheel", "zoom, ⌘ on a Mac"],
    ],
  ],
  [
    "Move",
    [
      ["← ↑ → ↓", "to a neighbor; further left and up to the headers"],
      ["Home, End", "first or last in the row; with Ctrl in the grid"],
      ["Page Up, Page Down", "by a page"],
    ],
  ],
  [
    "Select",
    [
      ["Space, Enter", "switch on or off"],
      ["Shift arrows", "add the block while moving"],
      ["O", "only this cell, row or column"],
      ["G", "the heads that share this head's key/value head"],
      ["A", "select everything"],
      ["I", "invert"],
      ["Ctrl Z", "undo, ⌘ Z on a Mac; with Shift redo"],
      ["Ctrl Y", "redo"],
      ["Escape", "cancel the drag, or clear the selection"],
      ["/", "write the selection as text"],
    ],
  ],
  [
    "View",
    [
      ["+, -", "larger or smaller cells"],
      ["0", "the whole grid; again: cells of a readable size"],
      ["L", "look: clicks look, and select nothing; again: they select"],
      ["?", "this help"],
    ],
  ],
  [
    "Signs",
    [
      ["◣", "partly selected: some of its weights are"],
      ["▨", "its output weights are all zero"],
      ["•", "no value, where the cells are colored by one"],
    ],
  ],
];

/** The position of another line that lies straight above or below. */
function across(cells: Cells, geometry: Geometry, from: Position, line: Line): Position {
  const band = cells.bands[line.band]!;
  let { column } = from;
  if (from.band !== line.band) {
    const rect = rectOf(geometry, from);
    if (column === -1) column = isLabeled(band) ? 0 : -1;
    else column = columnNear(geometry, line.band, rect.x + rect.width / 2);
  }
  // A bracket is reached from any of its heads, and is left to the first of them.
  return { ...line, column: line.row === -2 ? (groupAt(band, column)?.[0] ?? column) : column };
}

function vertical({ cells, geometry, at: from, origin }: Cursor, steps: number): Position {
  const lines = linesOf(cells);
  const at = lines.findIndex((line) => line.band === from.band && line.row === from.row);
  const direction = Math.sign(steps);
  const wanted = Math.max(0, Math.min(lines.length - 1, at + steps));
  const candidates: number[] = [];
  for (let k = wanted; k >= 0 && k < lines.length; k += direction) candidates.push(k);
  for (let k = wanted - direction; (k - at) * direction > 0; k -= direction) candidates.push(k);
  for (const k of candidates) {
    const position = across(cells, geometry, origin, lines[k]!);
    if (exists(cells, position)) return position;
  }
  return from;
}

/** The first position of a line that exists, from an index of its order on; index -1 is the row headers. */
function horizontal({ cells, at: from }: Cursor, start: number, direction: number): Position {
  const order = orderOf(cells.bands[from.band]!);
  for (let at = start; at >= -1 && at < order.length; at += direction) {
    const position = { ...from, column: order[at] ?? -1 };
    if (exists(cells, position)) return position;
  }
  return from;
}

/** Where the cursor goes for a key that moves it; null for any other key. */
function move(cursor: Cursor, key: Key): Position | null {
  const { cells, at, page } = cursor;
  const band = cells.bands[at.band];
  if (!band) return null;
  const order = orderOf(band);
  const index = order.indexOf(at.column);
  switch (key.key) {
    case "ArrowUp":
      return vertical(cursor, -1);
    case "ArrowDown":
      return vertical(cursor, 1);
    case "PageUp":
      return vertical(cursor, -page);
    case "PageDown":
      return vertical(cursor, page);
    case "ArrowLeft":
      return horizontal(cursor, index - 1, -1);
    case "ArrowRight":
      return horizontal(cursor, index + 1, 1);
    case "Home":
      return key.control ? endCell(cells, false) : horizontal(cursor, 0, 1);
    case "End":
      return key.control ? endCell(cells, true) : horizontal(cursor, order.length - 1, -1);
    default:
      return null;
  }
}

const ACTIONS: Record<string, Action> = {
  " ": { do: "toggle" },
  enter: { do: "toggle" },
  o: { do: "only" },
  g: { do: "group" },
  i: { do: "invert" },
  l: { do: "look" },
  "/": { do: "query" },
  "?": { do: "help" },
  escape: { do: "escape" },
  "+": { do: "zoom", by: 1 },
  "=": { do: "zoom", by: 1 },
  "-": { do: "zoom", by: -1 },
  "0": { do: "zoom", by: 0 },
};

/** Whether a key moves by lines. */
export function isVertical({ key }: Key): boolean {
  return /^(Arrow(Up|Down)|Page(Up|Down))$/.test(key);
}

/** What a key does; null for a key that is not the grid's. */
export function actionOf(cursor: Cursor, key: Key): Action | null {
  if (key.alt) return null;
  const to = move(cursor, key);
  if (to) return { do: "move", to, extend: key.shift };
  const name = key.key.toLowerCase();
  if (name === "a") return { do: "all" };
  if (!key.control) return ACTIONS[name] ?? null;
  if (name === "z") return { do: key.shift ? "redo" : "undo" };
  return name === "y" ? { do: "redo" } : null;
}
