/** How several selections overlap, in words. Pure. */
import { type BitSet, count } from "./bits";
import { thousands } from "./numbers";

export interface Named {
  name: string;
  bits: BitSet;
}

const cells = (n: number) => `${n === 0 ? "no" : thousands(n)} ${n === 1 ? "cell" : "cells"}`;
const number = (n: number) => (n === 0 ? "none" : thousands(n));

/** "a and b: 3 cells in both, 2 only in a, 1 only in b"; "" for fewer than two. */
export function overlapText(sets: readonly Named[]): string {
  const [a, b] = sets;
  if (!a || !b) return "";
  const all = count(a.bits.map((byte, k) => sets.reduce((rest, { bits }) => rest & (bits[k] ?? 0), byte)));
  const any = count(a.bits.map((byte, k) => sets.reduce((sum, { bits }) => sum | (bits[k] ?? 0), byte)));
  if (sets.length > 2)
    return `${sets.length} selections: ${cells(all)} in all of them, ${number(any)} in any`;
  const both = `${a.name} and ${b.name}`;
  if (all === any) return `${both}: the same ${cells(all)}`;
  const only = ({ name, bits }: Named) => `${number(count(bits) - all)} only in ${name}`;
  return `${both}: ${cells(all)} in both, ${only(a)}, ${only(b)}`;
}

/** "selection 3": the first such name that is free. */
export function freshName(names: readonly string[]): string {
  let n = 1;
  while (names.includes(`selection ${n}`)) n++;
  return `selection ${n}`;
}
