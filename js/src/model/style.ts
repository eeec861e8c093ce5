// Generated from src/headgrid/plots/style.py by `make build`. Do not edit.

/** Colors of saved selections, and of series in a figure. Told apart by readers of every color vision as well as Okabe and Ito's eight (2008) are. Four of these are theirs; the others would vanish on a white ground or on a black one, where each of these has a contrast of 3 at least. */
export const SAVED = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a5cff", "#8f633c", "#6fa236", "#d030c0"] as const;

/** Evenly spaced stops from low to high: cividis (Nunez, Anderton and Renslow 2018), the same on either ground. */
export const SEQUENTIAL = "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838";

/** Orange below zero, blue above it; zero is next to the ground, so that what is far from it stands out. */
export const DIVERGING = {"light": "8f3a05 d9731f f5b97a eff1f3 8bbce0 2f7cc0 08478f", "dark": "ffc285 d98230 8a531f 343a42 2d5f96 4f97dc 9ccbf7"} as const;

/** A scale has so many steps, and one color more. */
export const LEVELS = 64;

/** The least side of a cell that has an edge, corners and a label of its own; smaller ones have their fill alone. */
export const ROOMY = 12;

/** The least side of a cell, and the radius of its corners; smaller ones have none. */
export const RADII = [[18, 5], [12, 3], [9, 2]] as const;

/** The least side of a cell, and the gap between neighbors. */
export const GAPS = [[18, 3], [10, 2], [5, 1]] as const;

/** Space between heads that read different key/value heads, beside the gap between neighbors: so many pixels at least, or a cell divided by so much. */
export const GROUP_GAP = {"least": 2, "of": 6} as const;

/** Space between blocks of columns, beside the gap: so many pixels at least, or a cell divided by so much; before the experts more, or so much of a cell. */
export const BLOCK_GAP = {"least": 4, "of": 4, "experts": 10, "of_experts": 0.6} as const;

/** The least side of a cell, the width of a handle beside it, and the room on either side of that. */
export const HANDLES = [[18, 10, 5], [12, 9, 4], [6, 7, 4], [0, 4, 2]] as const;

/** The least side of a cell, and the radius of the corners of a handle beside it. */
export const HANDLE_RADII = [[12, 4], [9, 3]] as const;

/** Cells that carry their own label, as those of the embeddings do: how high, how much wider than the label. */
export const LABELED = {"height": 24, "padding": 24, "gap": 6} as const;

/** Room for a frame around the outermost cells. */
export const RING = 3;

/** Heights: between two bands; of the names of blocks of columns; of brackets over heads. */
export const BAND_GAP = 10;
export const CAPTION = 20;
export const BRACKET = 17;

/** The column of row labels: the least width of a label, what is added to it, and how far it stands off the cells. */
export const SIDE = {"least": 16, "padding": 12, "inset": 10} as const;

/** The width of the name of what the rows count, which stands on its end beside their labels. */
export const AXIS = 13;

/** That name; the columns' is their kind, such as "head". */
export const ROWS = "layer";

/** The row of column labels: its least height, and with the name of the axis over the labels; how far the middle of a number is then off its foot, and the middle of the name off its top; what an upright label needs beside its length, and where that begins. */
export const HEAD = {"least": 18, "named": 26, "number": 8, "name": 6.5, "padding": 8, "foot": 5} as const;

/** How far apart labels have to be that stand on their end. */
export const UPRIGHT = 11;

/** Every how many rows have a label: the first with which labels stand at least `ROOMY` apart. */
export const STRIDES = [1, 2, 5, 10, 20] as const;

/** The kinds of columns that are many, which stand close together as squares, and what a block of them is called. */
export const BLOCKS = {"head": "heads", "expert": "experts"} as const;

/** Around a selected cell that is colored by its value: the width of a line of the color of what is selected, and within that of one of the ground's. */
export const FRAME = {"roomy": [2.5, 1.5], "small": [1.5, 0.75]} as const;

/** The least side of a cell whose frame has the color of what is selected; a smaller one is all frame, which would look like a value, and has the text's. */
export const FRAMED = 7;

/** The radius of the dot in the middle of a cell without a value. */
export const DOT = {"roomy": 1.25, "small": 0.75} as const;

/** The corner that marks a value beyond the scale: how far off the sides, and how long as a part of the cell's height. */
export const BEYOND = {"inset": 1, "side": 0.4} as const;

/** Values written into cells: the least side of a cell that has room for one, the room that it needs beside its width, where it stands over a pattern (how high its ground is, and how far off the foot of its cell), and how far down its middle is in a cell with a tick, as a part of the height. */
export const WRITTEN = {"least": 30, "padding": 2, "height": 14, "foot": 6, "lower": 0.66} as const;

/** Lines across a cell that writes nothing: how far apart at least, into how many they divide it, and how opaque they are upon a color that means a value. */
export const HATCH = {"least": 4, "of": 4, "alpha": 0.55} as const;

/** Of the line of an arrow, of each kind, in pixels; of a line that is two pixels wide in a figure. */
export const DASHES = {"Q": [], "K": [7, 3], "V": [1.5, 3]} as const;

/** On which side of a cell's middle the arrows of each kind begin and end. */
export const LANES = {"Q": -1, "K": 0, "V": 1} as const;

/** The width of the weakest arrow's line, what the strongest has more, the rim around it, its head's length and what that gains with the width, and the weakest's opacity. */
export const ARROW = {"thin": 1.25, "thicker": 1.75, "halo": 2.5, "head": 4, "per_width": 1.5, "alpha": 0.55} as const;

/** The most arrows that are drawn, because more could not be told apart, and the least z unless another is chosen. */
export const ARROWS = {"most": 160, "z": 3} as const;

/** The room around it, its least width, the lines that the selection may take, the length of the color scale in the legend, and the side of a cell there. */
export const PICTURE = {"padding": 16, "least": 380, "lines": 3, "scale": 160, "swatch": 14} as const;

/** The texts of legends. */
export const LEGEND = {"selected": "selected", "partial": "partly selected", "zero": "output weights all zero", "beyond": "beyond the scale", "missing": "no value", "folded": "norms folded", "raw": "raw weights", "composition": "-composition", "not_use": "z above random is not use", "gray": "gray: no outlier", "plain": "as most pairs", "few": "too few pairs to compare"} as const;
