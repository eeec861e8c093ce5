/** The inspector's tables as text, in columns that a spreadsheet takes apart. Pure. */
import { type HeadRows, valueAt } from "../model/head_rows";
import type { Circuit, HeadsSummary, Partners, Tokens, WeightLocation } from "../model/wire";

type Cell = string | number;

const lines = (rows: readonly Cell[][]): string =>
  rows.map((row) => row.map((cell) => String(cell).replace(/[\t\n\r]+/g, " ")).join("\t")).join("\n");

/** Tokens quoted, so that their blanks survive. */
const quoted = (tokens: string[] = []): string => tokens.map((token) => JSON.stringify(token)).join(" ");

const number = (value: number): Cell => (Number.isFinite(value) ? Number(value.toPrecision(6)) : "");

/** One circuit: a title, then its tables with a blank line between two. */
export function textOfCircuit(circuit: Circuit): string {
  const { title, scores, spectrum, directions, left, right, pairs, pairs_title, offsets, notes, error } =
    circuit;
  const sides = [
    { name: left, of: (k: number) => directions[k]!.left },
    { name: right, of: (k: number) => directions[k]!.right },
  ].filter(({ name }) => name);
  const both = (tokens: Tokens | null): Cell[] => [quoted(tokens?.top), quoted(tokens?.bottom)];
  const tables: Cell[][][] = [
    [[title], ...(error ? [[error]] : []), ...scores.map(({ name, value }) => [name, value])],
    directions.length
      ? [
          [
            "direction",
            "singular value",
            "unclear",
            ...sides.flatMap(({ name }) => [`${name} +`, `${name} −`]),
          ],
          ...directions.map(({ value, unclear }, k) => [
            k + 1,
            number(value),
            unclear ? "unclear" : "",
            ...sides.flatMap(({ of }) => both(of(k))),
          ]),
        ]
      : [],
    spectrum.length ? [["singular values", ...spectrum.map(number)]] : [],
    pairs.length
      ? [[pairs_title], ...pairs.map((p) => [quoted([p.source]), quoted([p.target]), number(p.value)])]
      : [],
    offsets.length ? [["score by distance", ...offsets.map(number)]] : [],
    notes.map((note) => [note]),
  ];
  return tables
    .filter((table) => table.length)
    .map(lines)
    .join("\n\n");
}

export function textOfLocations(locations: readonly WeightLocation[]): string {
  return lines([
    ["weight", "parameter", "index", "shape", "entries"],
    ...locations.map((location) => [
      location.role,
      location.parameter,
      location.index,
      location.shape,
      location.count,
    ]),
  ]);
}

export function textOfPartners(
  { arrows, baseline, notes }: Partners,
  word: (cell: number) => string,
): string {
  return lines([
    ["kind", "from", "to", "value", "z"],
    ...arrows.map((a) => [a.kind, word(a.source), word(a.target), number(a.value), number(a.z)]),
    ["random orientations", "", "", number(baseline), ""],
    ...notes.map((note) => [note]),
  ]);
}

export function textOfComparison({ heads, summed }: HeadsSummary): string {
  const blocks = heads.flatMap(({ title, circuits }) =>
    circuits.map((circuit) => textOfCircuit({ ...circuit, title: `${title} ${circuit.title}` })),
  );
  return [...blocks, ...(summed ? [textOfCircuit(summed)] : [])].join("\n\n");
}

export function textOfRows(rows: HeadRows, word: (cell: number) => string): string {
  return lines([
    ["head", ...rows.columns.map(({ label }) => label)],
    ...rows.cells.map((cell, row) => [
      word(cell),
      ...rows.columns.map((_, c) => number(valueAt(rows, row, c))),
    ]),
    ...(rows.note ? [[rows.note]] : []),
  ]);
}
