/** What the selection does on the task: the metric without it beside other sets of as many heads, and the next tokens. */

import { draw, make } from "../dom/elements";
import { clamp, short } from "../model/numbers";
import type { ModeEffect, NextToken, SelectionEffect } from "../model/wire";
import { nextChips, textOfNext } from "./next_tokens";

/** The width of a line's drawing, which is stretched, and its height, in its own units. */
const WIDE = 100;
const HIGH = 18;

export interface Axis {
  low: number;
  high: number;
  /** Where a value lies, from 0 to 100. */
  at(value: number): number;
}

/** One axis for all modes: it holds every value, every control and zero. */
export function axisOf(modes: readonly ModeEffect[]): Axis {
  const all = modes.flatMap(({ value, low, high, controls }) => [value, low, high, ...controls]);
  const finite = [0, ...all.filter(Number.isFinite)];
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const room = (high - low || 1) * 0.04;
  return {
    low,
    high,
    at: (value) => WIDE * clamp((value - low + room) / (high - low + 2 * room), 0, 1),
  };
}

/** One line in words: "zero: −4.20 (−4.60 to −3.90); 3 other sets: −0.100 to 0.200". */
export function textOfMode({ mode, value, low, high, controls }: ModeEffect): string {
  const span = low === high ? "" : ` (${short(low)} to ${short(high)})`;
  const sets = `${controls.length} other ${controls.length === 1 ? "set" : "sets"}`;
  const others = controls.length
    ? `; ${sets}: ${short(Math.min(...controls))} to ${short(Math.max(...controls))}`
    : "";
  return `${mode}: ${short(value)}${span}${others}`;
}

function drawMode({ value, low, high, controls }: ModeEffect, axis: Axis): SVGElement {
  const line = (name: string, x1: number, x2: number, y1: number, y2: number) =>
    draw("line", { class: name, x1: `${x1}%`, x2: `${x2}%`, y1, y2 });
  const middle = HIGH / 2;
  const zero = axis.at(0);
  return draw(
    "svg",
    { class: "hg-dots", height: HIGH, width: "100%", "aria-hidden": "true" },
    line("hg-axis", 0, WIDE, middle, middle),
    line("hg-zero", zero, zero, 2, HIGH - 2),
    ...controls.map((control) =>
      draw("circle", { class: "hg-control", cx: `${axis.at(control)}%`, cy: middle, r: 3 }),
    ),
    ...(low < high ? [line("hg-interval", axis.at(low), axis.at(high), middle, middle)] : []),
    draw("circle", { class: "hg-selection", cx: `${axis.at(value)}%`, cy: middle, r: 5 }),
  );
}

function modeTable(modes: readonly ModeEffect[], metric: string): HTMLElement {
  const axis = axisOf(modes);
  const rows = modes.map((mode) =>
    make(
      "tr",
      { title: textOfMode(mode) },
      make("th", { scope: "row" }, mode.mode),
      make(
        "td",
        { class: "hg-dots-cell" },
        drawMode(mode, axis),
        hidden(`${mode.controls.length} other sets`),
      ),
      make("td", { class: "hg-number" }, short(mode.value)),
    ),
  );
  const ends = make(
    "div",
    { class: "hg-axis-ends" },
    make("span", {}, short(axis.low)),
    make("span", {}, short(axis.high)),
  );
  const caption = `change of the ${metric || "metric"}; ● the selection, ○ other sets of as many heads`;
  return make(
    "table",
    { class: "hg-effects" },
    make("caption", {}, caption),
    make("tbody", {}, ...rows),
    make(
      "tfoot",
      { "aria-hidden": "true" },
      make("tr", {}, make("td", {}), make("td", {}, ends), make("td", {})),
    ),
  );
}

const hidden = (words: string) => make("span", { class: "hg-hidden" }, words);

function nextTable(effect: SelectionEffect): HTMLElement[] {
  const lines: [string, NextToken[]][] = [
    ["as it is", effect.next],
    ["without", effect.without],
    ["alone", effect.alone],
  ];
  const rows = lines
    .filter(([, tokens]) => tokens.length)
    .map(([name, tokens]) =>
      make(
        "tr",
        { title: textOfNext(tokens) },
        make("th", { scope: "row" }, name),
        make("td", {}, make("div", { class: "hg-next" }, ...nextChips(tokens, 3))),
      ),
    );
  if (!rows.length) return [];
  return [
    make("table", { class: "hg-effects" }, make("caption", {}, "next tokens"), make("tbody", {}, ...rows)),
  ];
}

/** The effect of a selection; nothing where there is none to show. */
export function effectNodes(effect: SelectionEffect, isOld: boolean): HTMLElement[] {
  const { text, clean, metric, modes, sentence, pending, error } = effect;
  if (!error && !pending && !modes.length && !effect.next.length) return [];
  const measured = modes.length && metric ? `${metric} as it is: ${short(clean)}` : "";
  return [
    make("h4", {}, "effect of ", make("code", { class: "hg-word" }, text)),
    ...(error ? [make("p", { class: "hg-error" }, error)] : []),
    ...(sentence ? [make("p", {}, sentence)] : []),
    ...(modes.length ? [modeTable(modes, metric)] : []),
    ...(measured ? [make("p", { class: "hg-note" }, measured)] : []),
    ...nextTable(effect),
    ...(pending || isOld
      ? [make("p", { class: "hg-note hg-pending" }, "Running the model without it…")]
      : []),
  ];
}

/** The same as text, for the clipboard. */
export function textOfEffect(effect: SelectionEffect): string {
  const { text, sentence, modes, next, without, alone, metric } = effect;
  if (!modes.length) return "";
  const tokens = [next, without, alone].map(textOfNext);
  return [
    `without ${text}`,
    sentence,
    ...modes.map((mode) => `${metric}, ${textOfMode(mode)}`),
    ...["as it is", "without", "alone"].flatMap((name, k) => (tokens[k] ? [`${name}: ${tokens[k]}`] : [])),
  ].join("\n");
}
