/** Which arcs of a pattern are drawn: from a query to each key that it attends to. Pure. */
import { type Pattern, placeOf } from "./patterns";

/** How many strengths of an arc are told apart. */
export const STRENGTHS = 8;
/** The least root of the attention, as a part of the largest, that has an arc: four hundredths of the attention. */
export const LEAST = 0.2;

/** Rows of tokens, the end exclusive. */
export interface RowSpan {
  first: number;
  end: number;
}

/** Arcs of one strength, as queries and keys by turns. */
export type ArcLevels = number[][];

/** What arcs are wanted: of a query, of a key, or all (-1 for either). */
export interface ArcChoice {
  query: number;
  key: number;
  withoutFirst: boolean;
}

/** The arcs that cross these rows, by strength from the weakest; `most` is the root of the attention of the strongest. */
export function arcsOf(pattern: Pattern, rows: RowSpan, most: number, choice: ArcChoice): ArcLevels {
  const levels: ArcLevels = Array.from({ length: STRENGTHS }, () => []);
  const { queries, keys, triangle, bytes } = pattern;
  const [from, to] = choice.query >= 0 ? [choice.query, choice.query + 1] : [0, queries];
  for (let query = from; query < to; query++) {
    const last = triangle ? query + 1 : keys;
    const start = choice.key >= 0 ? choice.key : choice.withoutFirst ? 1 : 0;
    const end = choice.key >= 0 ? Math.min(last, choice.key + 1) : last;
    for (let key = start; key < end; key++) {
      if (choice.withoutFirst && key === 0) continue;
      const root = bytes[placeOf(pattern, query, key)]! / 255 / (most || 1);
      if (root < LEAST || Math.max(query, key) < rows.first || Math.min(query, key) >= rows.end) continue;
      const level = Math.min(STRENGTHS - 1, Math.floor(STRENGTHS * root));
      levels[level]!.push(query, key);
    }
  }
  return levels;
}
