/** Several selected heads side by side: a column for each, and a row for what all of them have. */
import { drawBars } from "./chart";
import { type CircuitView, makeCircuit, spectrumOf } from "./circuit";
import { cellButton, type Places } from "./composition";
import { make } from "./dom";
import { chips, type Sign } from "./tokens";
import type { Circuit, Compared, Comparison } from "./wire";

const DIRECTIONS = 2;
const TOKENS = 5;
/** The least width of a column, in pixels. */
const NARROWEST = 104;

/** The circuits that any head has, by title, in order; null where a head lacks one. */
export function alignCircuits(heads: readonly Compared[]): { title: string; circuits: (Circuit | null)[] }[] {
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

function rowsOf(title: string, circuits: readonly (Circuit | null)[], sign: Sign): HTMLElement[] {
  const span = circuits.length;
  const block = (name: string, help: string, cells: (Node | string)[]) => [
    make("tr", {}, make("th", { class: "hg-label", colspan: span, scope: "rowgroup", title: help }, name)),
    make("tr", {}, ...cells.map((cell) => make("td", {}, cell))),
  ];
  const spectra = circuits.map((circuit) =>
    circuit?.spectrum.length ? make("div", { class: "hg-mini" }, drawBars(spectrumOf(circuit))) : "–",
  );
  const side = (circuit: Circuit | null, which: "left" | "right") => {
    if (!circuit?.[which]) return [];
    const rows = circuit.directions
      .slice(0, DIRECTIONS)
      .map((d) => make("li", {}, chips(d[which], sign, TOKENS)));
    return rows.length ? [make("ol", {}, ...rows)] : [];
  };
  const tokens = (["left", "right"] as const).flatMap((which) => {
    const lists = circuits.map((circuit) => side(circuit, which)[0] ?? "–");
    const name = circuits.find((circuit) => circuit?.[which])?.[which] ?? "";
    return lists.every((list) => list === "–") ? [] : block(`${title} ${name}`, "", lists);
  });
  const errors = circuits.map((circuit) => circuit?.error ?? "");
  return [
    ...(errors.some(Boolean) ? block(title, "", errors) : []),
    ...alignScores(circuits).flatMap(({ name, help, values }) => block(`${title} ${name}`, help, values)),
    ...(circuits.some((circuit) => circuit?.spectrum.length)
      ? block(`${title} singular values`, "", spectra)
      : []),
    ...tokens,
  ];
}

export function makeComparison(
  { heads, n_heads, summed, pending }: Comparison,
  view: CircuitView,
  places: Places,
): HTMLElement[] {
  const columns = heads.map(({ cell, title }) =>
    make(
      "th",
      { scope: "col" },
      cellButton(title, places.name(cell), () => places.go(cell)),
    ),
  );
  const bodies = alignCircuits(heads).map(({ title, circuits }) =>
    make("tbody", {}, ...rowsOf(title, circuits, view.sign)),
  );
  const table = make(
    "table",
    {
      class: "hg-compared",
      style: `min-width:${NARROWEST * heads.length}px`,
      "aria-label": "Selected heads side by side",
    },
    make("thead", {}, make("tr", {}, ...columns)),
    ...bodies,
  );
  return [
    ...(heads.length < n_heads && !pending
      ? [make("p", { class: "hg-note" }, `The first ${heads.length} of ${n_heads} selected heads are shown.`)]
      : []),
    ...(heads.length ? [table] : []),
    ...(summed ? [makeCircuit(summed, view)] : []),
  ];
}
