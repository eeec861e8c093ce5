/** Grid specs with handles and with groups, for the tests of the grid. */
import { type Cells, readSpec } from "../src/model/cells";
import type { Band } from "../src/model/wire";
import { mixture, specOf } from "./specs";

/** Two layers of 2 heads, a norm, a handle for the rest, 3 experts and the rest: cells 0-6 and 7-13; 3 to 5 are experts. */
export function handled(): Band {
  const band = mixture();
  return {
    ...band,
    rows: [...band.rows, { label: "1", name: "layer 1", word: "l1", tooltip: 0 }],
    handles: [{ label: "mlp", name: "MLP", word: " mlp", before: 3, columns: [3, 4, 5, 6] }],
  };
}

export const handledCells = (): Cells => readSpec({ bands: [handled()] });

/** 2 layers of 6 heads, of which 3 and 3 share; cells 2-9 are layer 0, whose heads are 3 to 8. */
export const grouped = (absent: number[] = []): Cells => readSpec(specOf(2, 6, 3, absent));
