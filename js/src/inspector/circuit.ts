/** One circuit as the inspector shows it: scores, spectrum, directions in tokens, and what else is known. */

import { freshId, make } from "../dom/elements";
import { short } from "../model/numbers";
import type { Sign } from "../model/view";
import type { Circuit, Direction, Score, TokenPair } from "../model/wire";
import { type Chart, makeChart } from "./chart";
import { chip, chips } from "./tokens";

const DISTANCES = 16;
const UNCLEAR =
  "≈ Its singular value nearly equals a neighbor's: any rotation of these directions into each other would do as well.";

/** Words for those who do not see the sign beside them. */
const hidden = (words: string): HTMLElement => make("span", { class: "hg-hidden" }, words);

/** The spectrum as a chart: the directions that the table lists are told apart. */
export function spectrumOf({ spectrum, n_values, directions }: Circuit): Chart {
  const [first = 0, last = 0] = [spectrum[0], spectrum.at(-1)];
  const isUnclear = (i: number) => directions[i]?.unclear ?? false;
  const some = spectrum.length < n_values ? `${spectrum.length} of ${n_values}` : `${n_values}`;
  return {
    title: "singular values",
    values: spectrum,
    range: `${some}, ${short(first)} to ${short(last)}`,
    say: (i) => `σ${i + 1} = ${short(spectrum[i]!)}${isUnclear(i) ? ", unclear" : ""}`,
    shown: directions.length,
    isUnclear,
  };
}

function offsetsOf(offsets: readonly number[]): Chart {
  const values = offsets.slice(0, DISTANCES);
  return {
    title: "score by distance",
    values,
    range: `0 to ${values.length - 1} tokens back`,
    say: (i) => `${i} back: ${short(values[i]!)}`,
    shown: values.length,
    isUnclear: () => false,
  };
}

function scoreList(
  scores: readonly Score[],
  explains: boolean,
  turned: (open: boolean) => void,
): HTMLElement[] {
  if (!scores.length) return [];
  const ids = scores.map(freshId);
  const list = make(
    "dl",
    { class: "hg-scores" },
    ...scores.map(({ name, value, help }, k) =>
      make(
        "div",
        { title: help },
        make("dt", { "aria-describedby": help ? ids[k] : undefined }, name),
        make("dd", {}, value),
      ),
    ),
  );
  const known = scores.flatMap(({ name, help }, k) =>
    help ? [make("dt", {}, name), make("dd", { id: ids[k] }, help)] : [],
  );
  if (!known.length) return [list];
  // A tooltip is for a pointer alone; fingers and keys open this.
  const summary = make("summary", { "data-lm-suppress-shortcuts": "true" }, "What these numbers mean");
  const details = make(
    "details",
    { open: explains },
    summary,
    make("dl", { class: "hg-definitions" }, ...known),
  );
  details.addEventListener("toggle", () => turned(details.open));
  return [list, details];
}

function directionRow(direction: Direction, k: number, sides: readonly ("left" | "right")[], sign: Sign) {
  const { value, unclear } = direction;
  const doubt = unclear
    ? [make("abbr", { title: UNCLEAR.slice(2), "aria-hidden": "true" }, "≈"), hidden(" unclear")]
    : [];
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("small", {}, `${k + 1}`), " ", short(value), ...doubt),
    ...sides.map((side) => make("td", {}, chips(direction[side], sign))),
  );
}

function directionTable({ title, left, right, directions }: Circuit, sign: Sign): HTMLElement[] {
  if (!directions.length) return [];
  const sides = (["left", "right"] as const).filter((side) => (side === "left" ? left : right));
  const head = make(
    "tr",
    {},
    make(
      "th",
      { scope: "col", title: "singular value" },
      make("span", { "aria-hidden": "true" }, "σ"),
      hidden("singular value"),
    ),
    ...sides.map((side) => make("th", { scope: "col" }, side === "left" ? left : right)),
  );
  const table = make(
    "table",
    {
      class: "hg-directions",
      "aria-label": `${title}: directions, ${sign > 0 ? "positive" : "negative"} side`,
    },
    make("thead", {}, head),
    make("tbody", {}, ...directions.map((direction, k) => directionRow(direction, k, sides, sign))),
  );
  const doubt = directions.some(({ unclear }) => unclear);
  return doubt ? [table, make("p", { class: "hg-note" }, UNCLEAR)] : [table];
}

function pairTable(title: string, pairs: readonly TokenPair[]): HTMLElement[] {
  if (!pairs.length) return [];
  const rows = pairs.map(({ source, target, value }) =>
    make(
      "tr",
      {},
      make(
        "td",
        {},
        chip(source),
        make("span", { class: "hg-to", "aria-hidden": "true" }, "→"),
        hidden(" to "),
        chip(target),
      ),
      make("td", { class: "hg-number" }, short(value)),
    ),
  );
  const head = make(
    "tr",
    { class: "hg-hidden" },
    make("th", { scope: "col" }, "tokens"),
    make("th", { scope: "col" }, "value"),
  );
  const parts = [make("caption", {}, title), make("thead", {}, head), make("tbody", {}, ...rows)];
  return [make("table", { class: "hg-pairs" }, ...parts)];
}

export interface CircuitView {
  sign: Sign;
  explains: boolean;
  explained(open: boolean): void;
  /** Whether the title says more than the tab does. */
  titled: boolean;
}

export function makeCircuit(circuit: Circuit, view: CircuitView): HTMLElement {
  const { title, error, scores, spectrum, pairs_title, pairs, offsets, notes } = circuit;
  const section = make("section", { "aria-label": title });
  if (view.titled) section.append(make("h4", {}, title));
  if (error) section.append(make("p", {}, error));
  section.append(
    ...scoreList(scores, view.explains, view.explained),
    ...(spectrum.length ? [makeChart(spectrumOf(circuit))] : []),
    ...directionTable(circuit, view.sign),
    ...pairTable(pairs_title, pairs),
    ...(offsets.length ? [makeChart(offsetsOf(offsets))] : []),
    ...notes.map((note) => make("p", { class: "hg-note" }, note)),
  );
  return section;
}
