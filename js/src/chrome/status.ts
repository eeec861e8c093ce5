/** The line under the grid: what the pointer is on, and how much is selected. */

import { freshId, make, setText } from "../dom/elements";
import { thousands } from "../model/numbers";
import type { Text } from "../model/wire";

export interface Status {
  element: HTMLElement;
  /** The id of what holds `detail`, which may describe a cell aloud. */
  detailId: string;
  /** `detail` is what else there is to say of it, where no tooltip does. */
  update(here: { word: string; name: string; detail?: string } | null, text: Text): void;
}

export const HINT = "Nothing is selected. Click a head, drag a block, or type l1h2";

/** "9,312 of 154,946 parameters (6.0%)" */
export function share(selected: number, total: number): string {
  const percent = total ? (100 * selected) / total : 0;
  const short =
    percent > 0 && percent < 0.05 ? "<0.1" : percent < 100 && percent >= 99.95 ? ">99.9" : percent.toFixed(1);
  return `${thousands(selected)} of ${thousands(total)} parameters (${short}%)`;
}

export function makeStatus(): Status {
  const detailId = freshId();
  const word = make("code", { class: "hg-word" });
  const name = make("span", { class: "hg-name" });
  const detail = make("span", { class: "hg-detail", id: detailId });
  const counts = make("span", { class: "hg-counts" });
  const amount = make("span", { class: "hg-amount" });
  const here = make("span", { class: "hg-current" }, word, name, detail);
  const element = make(
    "div",
    { class: "hg-status" },
    here,
    make("span", { class: "hg-total" }, counts, amount),
  );
  /** What may be cut off can be read in full on its own. */
  const write = (node: HTMLElement, said: string) => {
    setText(node, said);
    if (node.title !== said) node.title = said;
  };
  return {
    element,
    detailId,
    update: (position, text) => {
      const hint = !position && text.n_selected === 0;
      setText(word, position?.word ?? "");
      setText(name, hint ? HINT : (position?.name ?? ""));
      write(detail, position?.detail ?? "");
      here.classList.toggle("hg-hint", hint);
      const some = text.n_selected > 0;
      write(counts, some ? text.counts : hint ? "" : "nothing is selected");
      counts.classList.toggle("hg-none", !some);
      setText(amount, some && text.n_params ? share(text.n_selected, text.n_params) : "");
    },
  };
}
