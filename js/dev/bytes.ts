/** Sets of cells as a host hands them over. */
import type { BitSet } from "../src/model/bits";

export function toWire(bits: BitSet): DataView {
  return new DataView(bits.slice().buffer);
}
