/** The selected heads side by side: a column for each, and a row for each score; as many tables as the width needs. */

import { make } from "../dom/elements";
import type { Sign } from "../model/view";
import type { Circuit, HeadsSummary, SelectedHead } from "../model/wire";
import { drawBars } from "./chart";
import { type CircuitView, makeCircuit, spectrumOf } from "./circuit";
import { type CellLinks, cellButton } from "./composition";
import { chips } from "./tokens";

const DIRECTIONS = 2;
const TOKENS = 5;
/** The least width of a column, in pixels. */
export const NARROWEST = 96;

/** The circuits that any head has, by title, in order; null where a head lacks one. */
export function alignCircuits(
  heads: readonly SelectedHead[],
): { title: string; circuits: (Circuit | null)[] }[] {
  const titles = [...new Set(heads.flatMap(({ circuits }) => circuits.map(({ title }) => title)))];
  return titles.map((title) => ({
    title,
    circuits: heads.map((head) => head.circuits.find((circuit) => circuit.title === title) ?? null),
  }));
}

/** The scores that all circuits have, by name, in order; "–" for a circuit that could not be read. */
export function alignScores(
  circuits: readonly (Circuit | null)[],
): { name: string; help: string; values: string[] }[] {
  const lists = circuits.map((circuit) => circuit?.scores ?? []);
  const known = lists.filter((scores) => scores.length);
  // What only some have, because it is computed for the cell in focus alone, compares nothing.
  return (known[0] ?? [])
    .filter(({ name }) => known.every((scores) => scores.some((score) => score.name === name)))
    .map(({ name, help }) => ({
      name,
      help,
      values: lists.map((scores) => scores.find((score) => score.name === name)?.value ?? "–"),
    }));
}

/** How many heads stand in each table, so that none is wider than what fits and the last is not left over alone. */
export function columnsOf(heads: number, fit: number): number {
  return Math.ceil(heads / Math.ceil(heads / Math.max(1, fit))) || 1;
}

/** One thing that is compared, with what each head has of it. */
interface ComparisonRow {
  name: string;
  help: string;
  cells: (Node | string)[];
}

function rowsOf(title: string, circuits: readonly (Circuit | null)[], sign: Sign): ComparisonRow[] {
  const row = (name: string, cells: ComparisonRow["cells"], help = "") => ({
    name: `${title} ${name}`,
    help,
    cells,
  });
  const spectra = circuits.map((circuit) => {
    if (!circuit?.spectrum.length) return "–";
    const chart = spectrumOf(circuit);
    const said = `${chart.title}: ${chart.range}`;
    return make("div", { class: "hg-mini", role: "img", "aria-label": said, title: said }, drawBars(chart));
  });
  const side = (circuit: Circuit | null, which: "left" | "right") => {
    const directions = circuit?.[which] ? circuit.directions.slice(0, DIRECTIONS) : [];
    const items = directions.map((direction) => make("li", {}, chips(direction[which], sign, TOKENS)));
    return items.length ? make("ol", {}, ...items) : "–";
  };
  const name = (which: "left" | "right") => circuits.find((circuit) => circuit?.[which])?.[which] ?? "";
  return [
    { name: title, help: "", cells: circuits.map((circuit) => circuit?.error ?? "") },
    ...alignScores(circuits).map(({ name, help, values }) => row(name, values, help)),
    ...[
      row("singular values", spectra),
      ...(["left", "right"] as const).map((which) =>
        row(
          name(which),
          circuits.map((circuit) => side(circuit, which)),
        ),
      ),
    ].filter(({ cells }) => cells.some((cell) => cell !== "–")),
  ];
}

/** Selected heads side by side, at most `fit` in a table, and as many tables as that takes. */
export function makeComparison(
  { heads, n_heads, summed, pending }: HeadsSummary,
  view: CircuitView,
  links: CellLinks,
  fit = heads.length,
): HTMLElement[] {
  const rows = alignCircuits(heads).flatMap(({ title, circuits }) => rowsOf(title, circuits, view.sign));
  const columns = columnsOf(heads.length, fit);
  const starts = [...heads.keys()].filter((k) => k % columns === 0);
  const tables = starts.map((start) => {
    const shown = heads.slice(start, start + columns);
    const titles = shown.map(({ cell, title }) =>
      make(
        "th",
        { scope: "col" },
        cellButton(title, links.name(cell), () => links.go(cell)),
      ),
    );
    // A body for each row, so that its name is the header of nothing else.
    const bodies = rows.flatMap(({ name, help, cells }) => {
      const own = cells.slice(start, start + columns);
      const label = make(
        "th",
        { class: "hg-label", colspan: own.length, scope: "rowgroup", title: help },
        name,
      );
      const values = own.map((cell) => make("td", {}, cell));
      return own.some(Boolean) ? [make("tbody", {}, make("tr", {}, label), make("tr", {}, ...values))] : [];
    });
    return make(
      "table",
      {
        class: "hg-side-by-side",
        "aria-label": `${shown.map(({ title }) => title).join(", ")} side by side`,
      },
      make("thead", {}, make("tr", {}, ...titles)),
      ...bodies,
    );
  });
  return [
    ...(heads.length < n_heads && !pending
      ? [make("p", { class: "hg-note" }, `The first ${heads.length} of ${n_heads} selected heads are shown.`)]
      : []),
    ...tables,
    ...(summed ? [makeCircuit(summed, view)] : []),
  ];
}
