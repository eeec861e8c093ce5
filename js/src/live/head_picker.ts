/** The patterns of the heads that are looked at or selected, small and side by side, and their average: a click makes one big. */

import { make, OWN_KEYS, on, setText } from "../dom/elements";
import { rovingFocus } from "../dom/roving";
import { type Pattern, poolingOf, squaresOf } from "./patterns";
import { drawSquares, type Ramp } from "./squares";

/** The side of a small pattern, in pixels. */
const SIDE = 44;

export interface HeadPicker {
  element: HTMLElement;
  /** The patterns, the one that is big, and how many heads there are. */
  update(patterns: readonly Pattern[], big: Pattern, heads: number, ramp: Ramp | null): void;
}

export function makeHeadPicker(picked: (cell: number) => void, signal: AbortSignal): HeadPicker {
  const row = make("div", { class: "hg-heads", role: "group", "aria-label": "Which pattern is big" });
  const note = make("p", { class: "hg-note" });
  const element = make("div", { class: "hg-picker" }, row, note);
  const roving = rovingFocus(row, signal);
  let drawn: readonly Pattern[] = [];
  let inks: Ramp | null = null;
  let nodes: HTMLElement[] = [];

  const draw = (node: HTMLElement, pattern: Pattern, ramp: Ramp | null) =>
    drawSquares(
      node.querySelector("canvas")!,
      squaresOf(pattern, poolingOf(Math.max(pattern.queries, pattern.keys), 3 * SIDE), false),
      ramp,
    );
  const makeOne = (pattern: Pattern) => {
    const canvas = make("canvas", { "aria-hidden": "true" });
    const label = pattern.cell < 0 ? "average" : pattern.title;
    const node = make(
      "button",
      { type: "button", class: "hg-head", ...OWN_KEYS },
      canvas,
      make("span", {}, label),
    );
    on(node, "click", () => picked(pattern.cell), signal);
    return node;
  };
  return {
    element,
    update: (patterns, big, heads, ramp) => {
      const same = (one: Pattern, other: Pattern | undefined) =>
        one.cell === other?.cell && one.title === other.title;
      // A button stays where its head does: one that is made anew between press and release takes no click.
      if (patterns.length !== drawn.length || patterns.some((pattern, k) => !same(pattern, drawn[k]))) {
        const kept = patterns.map((pattern) => drawn.findIndex((before) => same(pattern, before)));
        roving.keep(() => {
          nodes = patterns.map((pattern, k) => nodes[kept[k]!] ?? makeOne(pattern));
          row.replaceChildren(...nodes);
        });
        drawn = kept.map((k) => drawn[k]!);
      }
      for (const [k, node] of nodes.entries())
        if (patterns[k] !== drawn[k] || ramp !== inks) draw(node, patterns[k]!, ramp);
      [drawn, inks] = [patterns, ramp];
      for (const [k, node] of nodes.entries())
        node.setAttribute("aria-pressed", String(patterns[k]!.cell === big.cell));
      element.hidden = patterns.length < 2;
      const shown = patterns.filter(({ cell }) => cell >= 0).length;
      setText(note, shown < heads ? `The first ${shown} of ${heads} heads are shown.` : "");
    },
  };
}
