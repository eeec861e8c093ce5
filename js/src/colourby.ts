/** The menu that colours the cells, and the bar of the work that this takes. */
import { button, keepKeys, make, OWN_KEYS, setText } from "./dom";
import type { Shades } from "./shades";
import type { Metric, Progress } from "./wire";

/** The value of the option that stands for an array of the user's. */
const OWN = "\n";

export interface ColourState {
  metrics: readonly Metric[];
  shades: Shades | null;
  /** The metric that was asked for last. */
  asked: string;
  error: string;
  progress: Progress;
  live: boolean;
}

export interface ColourBy {
  element: HTMLElement;
  update(state: ColourState): void;
}

/** What the menu stands on: what is shown, or else what was asked for. */
export function chosenOf({ metrics, shades, asked, error }: ColourState): string {
  if (!shades) return error ? "" : asked;
  return metrics.some(({ name }) => name === shades.metric) ? shades.metric : OWN;
}

export function makeColourBy(recolour: (metric: string) => void, signal: AbortSignal): ColourBy {
  const menu = make("select", { class: "hg-menu", ...OWN_KEYS });
  const label = make("label", {}, "Colour by ", menu);
  const doing = make("span", { class: "hg-muted" });
  const bar = make("progress", {});
  const amount = make("span", { class: "hg-muted" });
  const stop = button("Stop", { title: "Stop this and show no colours" }, () => end(), signal);
  const work = make("div", { class: "hg-work", hidden: true }, doing, bar, amount, stop);
  const error = make("span", { class: "hg-error", role: "status" });
  const element = make("div", { class: "hg-row hg-colours" }, label, work, error);
  let drawn = "";

  menu.addEventListener("change", () => menu.value !== OWN && recolour(menu.value), { signal });
  const end = () => {
    // The button is about to go.
    menu.focus({ preventScroll: true });
    recolour("");
  };
  keepKeys(element, signal);

  return {
    element,
    update: (state) => {
      const { metrics, shades, progress, live } = state;
      const runs = live && progress.total > 0;
      const chosen = chosenOf(state);
      const own = chosen === OWN ? (shades?.label ?? "") : "";
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
      if (!runs && stop.matches(":focus")) menu.focus({ preventScroll: true });
      work.hidden = !runs;
      element.hidden = label.hidden && !runs && !state.error;
      if (runs) {
        setText(doing, progress.label);
        setText(amount, `${progress.done} of ${progress.total}`);
        bar.max = progress.total;
        bar.value = progress.done;
        bar.ariaLabel = progress.label;
      }
      setText(error, state.error);
    },
  };
}
