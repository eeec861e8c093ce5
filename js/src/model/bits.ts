/**
 * Sets of cells as bytes: cell i is bit i % 8 of byte i // 8.
 *
 * Every operation returns new bytes, because a model only sees that a value changed when the value is another object.
 */

export type BitSet = Uint8Array<ArrayBuffer>;

export function empty(n: number): BitSet {
  return new Uint8Array((n + 7) >> 3);
}

export function full(n: number): BitSet {
  return fromWire(empty(n).fill(255), n);
}

/** A set from the bytes of a trait, copied; missing bytes count as zero. */
export function fromWire(value: unknown, n: number): BitSet {
  const bits = empty(n);
  let bytes: Uint8Array | undefined;
  if (ArrayBuffer.isView(value)) {
    bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  } else if (value instanceof ArrayBuffer) {
    bytes = new Uint8Array(value);
  }
  if (bytes) bits.set(bytes.subarray(0, bits.length));
  if (n & 7 && bits.length) bits[bits.length - 1]! &= (1 << (n & 7)) - 1;
  return bits;
}

export function has(bits: BitSet, i: number): boolean {
  return (((bits[i >> 3] ?? 0) >> (i & 7)) & 1) === 1;
}

/** The set with some cells switched on or off. */
export function assign(bits: BitSet, members: Iterable<number>, on: boolean): BitSet {
  const next = bits.slice();
  for (const i of members) {
    if (on) next[i >> 3]! |= 1 << (i & 7);
    else next[i >> 3]! &= ~(1 << (i & 7));
  }
  return next;
}

export function without(bits: BitSet, other: BitSet): BitSet {
  return bits.map((byte, k) => byte & ~(other[k] ?? 0));
}

export function union(bits: BitSet, other: BitSet): BitSet {
  return bits.map((byte, k) => byte | (other[k] ?? 0));
}

export function difference(a: BitSet, b: BitSet): BitSet {
  return a.map((byte, k) => byte ^ (b[k] ?? 0));
}

export function equal(a: BitSet, b: BitSet): boolean {
  return a.length === b.length && a.every((byte, k) => byte === b[k]);
}

export function count(bits: BitSet): number {
  let total = 0;
  for (let byte of bits) for (; byte; byte &= byte - 1) total++;
  return total;
}

/** As text: the number of the first byte that is not zero, and from it on to the last one in base64. */
export function toText(bits: BitSet): string {
  const first = bits.findIndex(Boolean);
  const bytes = bits.subarray(first, bits.findLastIndex(Boolean) + 1);
  return first < 0 ? "" : `${first}:${btoa(String.fromCharCode(...bytes))}`;
}

/** The set of `n` cells that such a text names. */
export function fromText(text: string, n: number): BitSet {
  const bits = empty(n);
  const [first, bytes = ""] = text.split(":");
  for (const [k, letter] of [...atob(bytes)].entries()) bits[Number(first) + k] = letter.charCodeAt(0);
  return bits;
}
