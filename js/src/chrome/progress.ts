/** The progress bar of the metric that is being computed, beside the menu of the colors. */

import { button, make, setText } from "../dom/elements";
import type { ProgressState } from "../model/wire";

export interface ProgressBar {
  element: HTMLElement;
  update(progress: ProgressState, live: boolean): void;
}

/** `stop` ends the work; the focus goes to `menu` where the button that had it goes away. */
export function makeProgress(menu: HTMLElement, stop: () => void, signal: AbortSignal): ProgressBar {
  const doing = make("span", { class: "hg-muted" });
  const bar = make("progress", {});
  const amount = make("span", { class: "hg-muted" });
  const end = () => {
    // The button is about to go.
    menu.focus({ preventScroll: true });
    stop();
  };
  const ending = button("Stop", { title: "Stop this and show no colors" }, end, signal);
  const element = make("div", { class: "hg-progress", hidden: true }, doing, bar, amount, ending);
  const update = ({ label, done, total }: ProgressState, live: boolean) => {
    const runs = live && total > 0;
    if (!runs && ending.matches(":focus")) menu.focus({ preventScroll: true });
    element.hidden = !runs;
    if (!runs) return;
    setText(doing, label);
    setText(amount, `${done} of ${total}`);
    bar.max = total;
    bar.value = done;
    bar.ariaLabel = label;
  };
  return { element, update };
}
