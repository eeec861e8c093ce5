/** Attention patterns as the wire has them: a byte for each query and key, 255 times the root of the attention. Pure. */
import type { HeadPattern, LiveView, TypeScore } from "../model/wire";

export interface Pattern {
  /** The cell of its head; -1 for an average. */
  cell: number;
  title: string;
  queries: number;
  keys: number;
  /** Whether a query attends to no key that comes after it, and nothing is stored for those. */
  triangle: boolean;
  bytes: Uint8Array;
  scores: readonly TypeScore[];
}

/** Where the byte of a query and a key is; -1 where none is stored. */
export function placeOf({ triangle, keys }: Pattern, query: number, key: number): number {
  if (!triangle) return query * keys + key;
  return key > query ? -1 : (query * (query + 1)) / 2 + key;
}

/** The attention of a query to a key, from 0 to 1; 0 for a key that comes after it. */
export function attentionOf(pattern: Pattern, query: number, key: number): number {
  const place = placeOf(pattern, query, key);
  return place < 0 ? 0 : ((pattern.bytes[place] ?? 0) / 255) ** 2;
}

/** The patterns of a view, in its order; those whose bytes are not as many as its tokens ask for are left out. */
export function patternsOf({ tokens, keys: others, triangle, heads }: LiveView): Pattern[] {
  const queries = tokens.length;
  const keys = others.length || queries;
  const size = triangle ? (queries * (queries + 1)) / 2 : queries * keys;
  return heads.flatMap(({ cell, title, values, scores }: HeadPattern) =>
    values?.byteLength === size && size > 0
      ? [{ cell, title, queries, keys, triangle, scores, bytes: bytesOf(values) }]
      : [],
  );
}

const bytesOf = ({ buffer, byteOffset, byteLength }: DataView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The mean of the attention of several heads on the same tokens. */
export function averageOf(patterns: readonly Pattern[]): Pattern {
  const [first] = patterns;
  const sums = new Float64Array(first!.bytes.length);
  for (const { bytes } of patterns) for (let i = 0; i < sums.length; i++) sums[i]! += bytes[i]! ** 2;
  const bytes = Uint8Array.from(sums, (sum) => Math.round(Math.sqrt(sum / patterns.length)));
  return { ...first!, cell: -1, title: `average of ${patterns.length}`, scores: [], bytes };
}

export interface KeyShare {
  key: number;
  share: number;
}

/** The keys that a query attends to, strongest first; without the first token where that is left out. */
export function strongestKeys(pattern: Pattern, query: number, withoutFirst: boolean): KeyShare[] {
  const last = pattern.triangle ? query + 1 : pattern.keys;
  const shares: KeyShare[] = [];
  for (let key = withoutFirst ? 1 : 0; key < last; key++)
    shares.push({ key, share: attentionOf(pattern, query, key) });
  return shares.sort((a, b) => b.share - a.share || a.key - b.key);
}

/** How many tokens a square stands for, so that it is at least three pixels wide. */
export function poolingOf(tokens: number, side: number): number {
  return side >= 3 ? Math.max(1, Math.ceil(tokens / Math.floor(side / 3))) : 1;
}

/** A pattern in squares: the root of the largest attention in each, from 0 to 1; NaN where no query attends to a key. */
export interface Squares {
  rows: number;
  columns: number;
  /** How many tokens each stands for, in either direction. */
  pooling: number;
  roots: Float32Array;
  /** The largest of them. */
  most: number;
}

export function squaresOf(pattern: Pattern, pooling: number, withoutFirst: boolean): Squares {
  const rows = Math.ceil(pattern.queries / pooling);
  const columns = Math.ceil(pattern.keys / pooling);
  const roots = new Float32Array(rows * columns).fill(Number.NaN);
  let most = 0;
  for (let query = 0, place = 0; query < pattern.queries; query++) {
    const last = pattern.triangle ? query + 1 : pattern.keys;
    const row = Math.floor(query / pooling) * columns;
    for (let key = 0; key < last; key++, place++) {
      const at = row + Math.floor(key / pooling);
      const root = withoutFirst && key === 0 ? 0 : pattern.bytes[place]! / 255;
      // Written so that NaN gives way.
      if (!(roots[at]! >= root)) roots[at] = root;
      if (root > most) most = root;
    }
  }
  return { rows, columns, pooling, roots, most };
}

/** The root of the largest attention, which has the full color; that to the first token counts only where it is not left out. */
export const mostOf = (pattern: Pattern, withoutFirst: boolean): number =>
  squaresOf(pattern, Math.max(pattern.queries, pattern.keys), withoutFirst).most;

/** The query and the key with the largest attention in a square. */
export function peakOf(
  pattern: Pattern,
  { pooling }: Squares,
  row: number,
  column: number,
): [query: number, key: number] {
  let best: [number, number] = [row * pooling, column * pooling];
  let most = -1;
  for (let query = row * pooling; query < Math.min(pattern.queries, (row + 1) * pooling); query++)
    for (let key = column * pooling; key < Math.min(pattern.keys, (column + 1) * pooling); key++) {
      const share = placeOf(pattern, query, key) < 0 ? -1 : attentionOf(pattern, query, key);
      if (share > most) [most, best] = [share, [query, key]];
    }
  return best;
}

/** "48 %"; "<1 %" of what is not nothing. The bytes of the wire are good for whole numbers. */
export function percent(share: number): string {
  const whole = Math.round(100 * share);
  return share > 0 && whole === 0 ? "<1\u00a0%" : `${whole}\u00a0%`;
}

/** Whether a token stands for no text, as "<bos>" and "[CLS]" do. */
export function isSpecial(token: string): boolean {
  return /^<[|/\w\s-]+>$|^\[[A-Z]+\d*\]$/.test(token.trim());
}
