/** The menu that colors the cells. */

import { keepKeys, make, OWN_KEYS, on, setText } from "../dom/elements";
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
}

export interface ColorBy {
  element: HTMLElement;
  update(state: ColorState): void;
}

/** The menu's option that is chosen. */
export function chosenOf({ metrics, cellValues, metric }: ColorState): string {
  return cellValues && !metrics.some(({ name }) => name === metric) ? OWN : metric;
}

export function makeColorBy(recolor: (metric: string) => void, signal: AbortSignal): ColorBy {
  const menu = make("select", { class: "hg-menu", ...OWN_KEYS });
  const label = make("label", {}, "Color by ", menu);
  const error = make("span", { class: "hg-error", role: "status" });
  const bar = makeProgress(menu, () => recolor(""), signal);
  const element = make("div", { class: "hg-row hg-colors" }, label, bar.element, error);
  let drawn = "";

  on(menu, "change", () => menu.value !== OWN && recolor(menu.value), signal);
  keepKeys(element, signal);

  return {
    element,
    update: (state) => {
      const { metrics, cellValues, progress, live } = state;
      const runs = live && progress.total > 0;
      const chosen = chosenOf(state);
      const own = chosen === OWN ? (cellValues?.label ?? "") : "";
      const all = [["", "none", ""], ...metrics.map((m) => [m.name, m.label, m.help])];
      if (own) all.push([OWN, `(${own})`, "values given from Python"]);
      // Without a kernel there is nothing to choose; a menu that is disabled would lose the focus.
      const options = live ? all : all.filter(([value]) => value === chosen);
      const key = JSON.stringify(options);
      if (key !== drawn)
        menu.replaceChildren(
          ...options.map(([value, text, title]) => make("option", { value, title }, text ?? "")),
        );
      drawn = key;
      menu.value = chosen;
      menu.title = live ? (metrics.find(({ name }) => name === chosen)?.help ?? "") : "There is no kernel";
      menu.setAttribute("aria-disabled", String(!live));
      label.hidden = metrics.length === 0 && !own;
      element.hidden = label.hidden && !runs && !state.error;
      bar.update(progress, live);
      setText(error, state.error);
    },
  };
}
