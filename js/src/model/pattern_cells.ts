/** The small patterns of all heads, by cell. Pure. */
import type { Thumbnails } from "./wire";

export interface PatternCells {
  /** Each is so many values wide and high. */
  size: number;
  /** The values of a cell, row by row: 255 times the root of the attention. */
  of: ReadonlyMap<number, Uint8Array>;
}

/** Reads patterns from the wire; while their bytes are the same ones, so is what is returned. */
export function keepPatternCells(): (thumbnails: Thumbnails | null) => PatternCells | null {
  let bytes: DataView | null = null;
  let count = 0;
  let kept: PatternCells | null = null;
  return (thumbnails) => {
    if (!thumbnails?.size) return null;
    const { values, cells } = thumbnails;
    if (values !== bytes || cells.length !== count) kept = patternCellsOf(thumbnails);
    [bytes, count] = [values, cells.length];
    return kept;
  };
}

/** Those of the cells whose bytes have come. */
export function patternCellsOf({ size, cells, values }: Thumbnails): PatternCells {
  const all = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const each = size * size;
  const of = new Map<number, Uint8Array>();
  for (const [k, cell] of cells.entries())
    if ((k + 1) * each <= all.length) of.set(cell, all.subarray(k * each, (k + 1) * each));
  return { size, of };
}
