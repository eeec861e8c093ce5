/** Thin bars along the edges of a grid of small cells: of each row and column the mean of the values, or how many are selected. */

import { isPlain, type Palette } from "../dom/theme";
import { type BitSet, has } from "../model/bits";
import type { CellValues } from "../model/cell_values";
import { type Cells, membersOf, numberAt, type Position } from "../model/cells";
import { short } from "../model/numbers";
import { isOneOfMany } from "./columns";
import { rowsBetween } from "./geometry";
import { levelOf, scaleOf } from "./scales";
import type { Scene } from "./scene";
import type { Context } from "./shapes";

/** Of each row and of each column of a band, NaN where there is nothing to count. */
export interface Sums {
  rows: readonly number[];
  columns: readonly number[];
}

function sumOf(members: readonly number[], on: BitSet, cellValues: CellValues | null): number {
  if (!members.length) return Number.NaN;
  if (!cellValues) return members.filter((n) => has(on, n)).length;
  const values = members.map((n) => cellValues.values[n]!).filter((value) => !Number.isNaN(value));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The sums of a band, over its heads and experts alone. */
export function sumsOf(cells: Cells, b: number, on: BitSet, cellValues: CellValues | null): Sums {
  const band = cells.bands[b]!;
  const many = [...band.columns.keys()].filter((c) => isOneOfMany(band.columns[c]!));
  const at = (row: number, column: number) => numberAt(cells, { band: b, row, column });
  const isThere = (n: number) => n >= 0;
  const rows = band.rows.map((_, row) =>
    sumOf(many.map((column) => at(row, column)).filter(isThere), on, cellValues),
  );
  const columns = band.columns.map((column, c) =>
    isOneOfMany(column)
      ? sumOf(band.rows.map((_, row) => at(row, c)).filter(isThere), on, cellValues)
      : Number.NaN,
  );
  return { rows, columns };
}

/** "mean copying score 0.31" of a header's row or column; "" where the cells are not colored. */
export function meanText(cells: Cells, position: Position, cellValues: CellValues | null): string {
  if (!cellValues) return "";
  const mean = sumOf(membersOf(cells, position), new Uint8Array(), cellValues);
  return Number.isNaN(mean) ? "" : `mean ${cellValues.label} ${short(mean)}`;
}

/** The sums of the last scene, which most frames have too. */
const kept = new WeakMap<BitSet, { cells: Cells; cellValues: CellValues | null; bands: Map<number, Sums> }>();

function sumsIn({ cells, on, cellValues }: Scene, b: number): Sums {
  let found = kept.get(on);
  if (!found || found.cells !== cells || found.cellValues !== cellValues) {
    found = { cells, cellValues, bands: new Map() };
    kept.set(on, found);
  }
  const sums = found.bands.get(b) ?? sumsOf(cells, b, on, cellValues);
  found.bands.set(b, sums);
  return sums;
}

export function paintSums(context: Context, scene: Scene, b: number, palette: Palette): void {
  const { geometry, scroll, width, height } = scene;
  const area = geometry.bands[b]!;
  if (!geometry.sums || area.labeled) return;
  const cellValues = isPlain(palette) ? null : scene.cellValues;
  const { rows, columns } = sumsIn(cellValues === scene.cellValues ? scene : { ...scene, cellValues }, b);
  const base = cellValues && !cellValues.diverging ? Math.min(cellValues.low, ...rows.filter(isNumber)) : 0;
  const lengths = (values: readonly number[]) => {
    const most = Math.max(...values.filter(isNumber).map((value) => Math.abs(value - base)), 1e-12);
    return values.map((value) =>
      isNumber(value) ? (Math.abs(value - base) / most) * (geometry.sums - 4) : 0,
    );
  };
  const colors = cellValues && scaleOf(cellValues.diverging, palette.theme).colors;
  const fill = (value: number) => {
    context.fillStyle = colors ? colors[levelOf(value, cellValues!)]! : palette.on;
  };
  const gap = geometry.gap ? 0 : area.pitch > 3 ? 1 : 0;
  const [top, bottom] = rowsBetween(area, rows.length, scroll.y, scroll.y + height);
  const across = lengths(rows);
  for (let row = top; row <= bottom; row++) {
    if (!across[row]) continue;
    fill(rows[row]!);
    context.fillRect(area.right + 3, area.rows + row * area.pitch, across[row]!, area.rowHeight - gap);
  }
  const down = lengths(columns);
  for (const [c, length] of down.entries()) {
    const [x, wide] = [area.lefts[c]!, area.widths[c]!];
    if (!length || x > scroll.x + width || x + wide < scroll.x) continue;
    fill(columns[c]!);
    context.fillRect(x, area.bottom + 3, wide - gap, length);
  }
}

const isNumber = (value: number) => !Number.isNaN(value);
