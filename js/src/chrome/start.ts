/** What the panel says before anything was looked at: what to do, and the model's strongest heads. */

import { button, make, OWN_KEYS, setText } from "../dom/elements";
import { type CellValues, numberOf } from "../model/cell_values";
import type { Ranking } from "../model/ranking";
import type { Metric } from "../model/wire";

export interface StartState {
  live: boolean;
  /** Whether the model can read a text. */
  hasText: boolean;
  cellValues: CellValues | null;
  ranking: Ranking | null;
  metrics: readonly Metric[];
  /** The word of a cell. */
  word(cell: number): string;
}

export interface StartEvents {
  /** Looks at a cell, without selecting it. */
  look(cell: number): void;
  recolor(metric: string): void;
}

export interface Start {
  element: HTMLElement;
  update(state: StartState): void;
}

const DO = "Click a head to select it and see what it does.";
const MORE = "Drag to select a block; click a layer's or a head's number for all of it. ? lists all keys.";
const TEXT = "Type a text into the box above, and each head shows what it looks at there.";
const ALONE = "There is no kernel: only what was read before can be shown. Click a head to see it.";
/** How many heads are listed. */
const MOST = 8;

export function makeStart(events: StartEvents, signal: AbortSignal): Start {
  const said = make("p", {});
  const more = make("p", { class: "hg-muted" });
  const text = make("p", { class: "hg-muted" }, TEXT);
  const title = make("h4", {});
  const list = make("div", {});
  const element = make(
    "div",
    { class: "hg-start", role: "group", "aria-label": "How to begin", ...OWN_KEYS },
    make("p", { class: "hg-start-title" }, "Nothing is looked at yet"),
    ...[said, more, text, title, list],
  );
  /** What was drawn: the same colors are not listed twice. */
  let drawn: unknown[] = [];

  const strongest = ({ cellValues, ranking, word }: StartState) => {
    const most = Math.max(...ranking!.sizes.slice(0, MOST).map(Math.abs), Number.MIN_VALUE);
    return ranking!.order.slice(0, MOST).map((cell) => {
      const share = Math.round((100 * Math.abs(cellValues!.values[cell]!)) / most);
      const title = `Look at ${word(cell)}, without selecting it`;
      const row = button(make("code", {}, word(cell)), { title }, () => events.look(cell), signal);
      const below = cellValues!.values[cell]! < 0 ? "hg-below" : undefined;
      row.append(
        make("i", { class: below, style: `--hg-share:${share}%` }),
        make("span", {}, numberOf(cellValues!, cell)),
      );
      return row;
    });
  };
  const show = (state: StartState) => {
    const { live, metrics, ranking, cellValues } = state;
    if (ranking?.order.length && cellValues) {
      setText(title, `Largest ${cellValues.label}`);
      list.className = "hg-strongest";
      return list.replaceChildren(...strongest(state));
    }
    const choices = live ? metrics.slice(0, 5) : [];
    setText(title, choices.length ? "Show the heads that are strongest in" : "");
    list.className = "hg-choices";
    list.replaceChildren(
      ...choices.map(({ name, label, help }) =>
        button(label, { title: help }, () => events.recolor(name), signal),
      ),
    );
  };

  return {
    element,
    update: (state) => {
      const { live, hasText, cellValues, metrics } = state;
      setText(said, live ? DO : ALONE);
      setText(more, live ? MORE : "");
      text.hidden = !live || !hasText;
      const now = [live, cellValues, state.ranking, metrics];
      if (now.every((one, k) => one === drawn[k]) && drawn.length) return;
      drawn = now;
      show(state);
    },
  };
}
