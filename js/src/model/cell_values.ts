/** A number for every cell, which the grid shows as a color. Pure. */
import { has } from "./bits";
import type { Cells } from "./cells";
import { short } from "./numbers";
import { LEGEND } from "./style";
import type { Colors } from "./wire";

export interface CellValues extends Omit<Colors, "values"> {
  values: Float32Array;
  /** Whether some cell has no value. */
  missing: boolean;
}

/** The numbers of these colors; null where there are none. */
export function readValues(colors: Partial<Colors> | null, cells: Cells): CellValues | null {
  const { values: bytes, label = "" } = colors ?? {};
  if (!label || !bytes || bytes.byteLength < 4 * cells.count) return null;
  const values = new Float32Array(cells.count);
  // Byte order and alignment are those of the wire, not of this machine.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let n = 0; n < cells.count; n++) values[n] = view.getFloat32(4 * n, true);
  return {
    recolor: 0,
    metric: "",
    ln: "",
    low: 0,
    high: 1,
    range: "",
    diverging: false,
    error: "",
    ...colors,
    label,
    values,
    missing: values.some((value, n) => Number.isNaN(value) && has(cells.present, n)),
  };
}

/** "copying score 0.98" of one cell; "" where no colors are shown. */
export function valueText(cellValues: CellValues | null, n: number): string {
  if (!cellValues || n < 0) return "";
  const value = cellValues.values[n]!;
  return Number.isNaN(value)
    ? `${cellValues.label}: ${LEGEND.missing}`
    : `${cellValues.label} ${short(value)}`;
}

/** "0.98", the value of one cell. */
export function numberOf({ values }: CellValues, n: number): string {
  return short(values[n]!);
}
