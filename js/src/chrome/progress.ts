/** The bar of the work that the colors take, beside their menu. */

import { button, make, setText } from "../dom/elements";
import type { Progress } from "../model/wire";

/** Puts the bar after the menu. Returns what shows how far the work is; `stop` ends it. */
export function makeProgress(
  menu: HTMLElement,
  stop: () => void,
  signal: AbortSignal,
): (progress: Progress, live: boolean) => void {
  const doing = make("span", { class: "hg-muted" });
  const bar = make("progress", {});
  const amount = make("span", { class: "hg-muted" });
  const end = () => {
    // The button is about to go.
    menu.focus({ preventScroll: true });
    stop();
  };
  const ending = button("Stop", { title: "Stop this and show no colors" }, end, signal);
  const work = make("div", { class: "hg-progress", hidden: true }, doing, bar, amount, ending);
  menu.parentElement!.after(work);
  return ({ label, done, total }, live) => {
    const runs = live && total > 0;
    if (!runs && ending.matches(":focus")) menu.focus({ preventScroll: true });
    work.hidden = !runs;
    if (!runs) return;
    setText(doing, label);
    setText(amount, `${done} of ${total}`);
    bar.max = total;
    bar.value = done;
    bar.ariaLabel = label;
  };
}
