/** What the cells show: the menu that colors them, and the one that draws patterns in them. */

import { keepKeys, make, OWN_KEYS, on, setText } from "../dom/elements";
import type { PatternChoice } from "../live/content";
import type { CellValues } from "../model/cell_values";
import type { Metric, ProgressState } from "../model/wire";
import { makeProgress } from "./progress";

/** The value of the option that stands for an array of the user's. */
const OWN = "\n";

export interface ColorState {
  metrics: readonly Metric[];
  cellValues: CellValues | null;
  /** The metric that is shown, or that is asked for and not answered yet; "" for none and for values of the user's. */
  metric: string;
  error: string;
  progress: ProgressState;
  live: boolean;
  patterns: PatternChoice;
}

export interface ColorEvents {
  recolor(metric: string): void;
  /** Whether the cells are to show patterns. */
  patterns(on: boolean): void;
}

/** The heading of the metrics that are of the text, and not of the weights alone. */
const ON_TEXT = "on this text";

export interface ColorBy {
  element: HTMLElement;
  update(state: ColorState): void;
}

/** One option of the menu. */
interface Choice {
  value: string;
  label: string;
  title: string;
  live: boolean;
}

/** The options: those of the weights, and under a heading those of the text. */
function optionsOf(choices: readonly Choice[]): HTMLElement[] {
  const option = ({ value, label, title }: Choice) => make("option", { value, title }, label);
  const onText = choices.filter(({ live }) => live).map(option);
  return [
    ...choices.filter(({ live }) => !live).map(option),
    ...(onText.length ? [make("optgroup", { label: ON_TEXT }, ...onText)] : []),
  ];
}

/** The menu's option that is chosen. */
export function chosenOf({ metrics, cellValues, metric }: ColorState): string {
  return cellValues && !metrics.some(({ name }) => name === metric) ? OWN : metric;
}

export function makeColorBy({ recolor, patterns }: ColorEvents, signal: AbortSignal): ColorBy {
  const drawing = make(
    "select",
    { class: "hg-menu", ...OWN_KEYS },
    make("option", { value: "" }, "nothing"),
    make("option", { value: "patterns" }, "attention patterns"),
  );
  const cellsShow = make("label", {}, "Cells show ", drawing);
  const note = make("span", { class: "hg-muted hg-patterns-note", role: "status" });
  const menu = make("select", { class: "hg-menu", ...OWN_KEYS });
  const label = make("label", {}, "Color by ", menu);
  const error = make("span", { class: "hg-error", role: "status" });
  const bar = makeProgress(menu, () => recolor(""), signal);
  const element = make("div", { class: "hg-row hg-colors" }, cellsShow, label, bar.element, note, error);
  let drawn = "";

  on(drawing, "change", () => patterns(drawing.value !== ""), signal);
  on(menu, "change", () => menu.value !== OWN && recolor(menu.value), signal);
  keepKeys(element, signal);

  return {
    element,
    update: (state) => {
      const { metrics, cellValues, progress, live } = state;
      const runs = live && progress.total > 0;
      const chosen = chosenOf(state);
      const own = chosen === OWN ? (cellValues?.label ?? "") : "";
      const all: Choice[] = [{ value: "", label: "none", title: "", live: false }];
      for (const { name, label, help, live } of metrics)
        all.push({ value: name, label, title: help, live: live ?? false });
      if (own) all.push({ value: OWN, label: `(${own})`, title: "values given from Python", live: false });
      // Without a kernel there is nothing to choose; a menu that is disabled would lose the focus.
      const options = live ? all : all.filter(({ value }) => value === chosen);
      const key = JSON.stringify(options);
      if (key !== drawn) menu.replaceChildren(...optionsOf(options));
      drawn = key;
      menu.value = chosen;
      menu.title = live ? (metrics.find(({ name }) => name === chosen)?.help ?? "") : "There is no kernel";
      menu.setAttribute("aria-disabled", String(!live));
      label.hidden = metrics.length === 0 && !own;
      cellsShow.hidden = !state.patterns.isThere;
      drawing.value = state.patterns.isOn ? "patterns" : "";
      drawing.disabled = !live;
      setText(note, state.patterns.note);
      note.title = state.patterns.note;
      element.hidden = label.hidden && cellsShow.hidden && !runs && !state.error;
      bar.update(progress, live);
      setText(error, state.error);
    },
  };
}
