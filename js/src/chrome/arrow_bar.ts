/** The row that chooses which composition arrows are drawn. It belongs to the view, and has its place before there are any. */

import { keepKeys, make, OWN_KEYS, on, setText } from "../dom/elements";
import { highestZ, isPlainArrow, passing, within } from "../grid/arrows";
import { KINDS } from "../inspector/composition";
import type { Cells } from "../model/cells";
import { LEGEND } from "../model/style";
import type { ArrowChoice } from "../model/view";
import type { Arrow, Arrows } from "../model/wire";

export interface ArrowBar {
  element: HTMLElement;
  update(arrows: Arrows, cells: Cells): void;
}

const HINT = "Select two or more heads: arrows show how strongly they compose.";

export function makeArrowBar(choice: ArrowChoice, changed: () => void, signal: AbortSignal): ArrowBar {
  const check = (label: string, title: string, isOn: boolean, set: (on: boolean) => void, mark = "") => {
    const input = make("input", { type: "checkbox", ...OWN_KEYS });
    input.checked = isOn;
    on(
      input,
      "change",
      () => {
        set(input.checked);
        changed();
      },
      signal,
    );
    return make("label", { title }, input, make("span", { class: mark }, label));
  };
  const slider = make("input", {
    type: "range",
    min: 0,
    step: 0.5,
    "aria-label": "Least z: standard deviations above random",
    ...OWN_KEYS,
  });
  const least = make("span", { class: "hg-threshold" });
  const amount = make("span", { class: "hg-muted", role: "status" });
  const said = make("p", { class: "hg-note" });
  on(
    slider,
    "input",
    () => {
      choice.z = Number(slider.value);
      changed();
    },
    signal,
  );
  const kinds = (Object.keys(KINDS) as Arrow["kind"][]).map((kind) =>
    check(
      kind,
      `Composition ${KINDS[kind]}`,
      choice.kinds[kind],
      (on) => {
        choice.kinds[kind] = on;
      },
      `hg-kind hg-${kind}`,
    ),
  );
  const row = make(
    "div",
    { class: "hg-row hg-arrows", role: "group", "aria-label": "Composition arrows", hidden: true },
    check("arrows", "Draw composition arrows between the selected heads", choice.shown, (on) => {
      choice.shown = on;
    }),
    ...kinds,
    // together, so that what passes the threshold never stands in a line of its own
    make("div", { class: "hg-slider" }, make("label", {}, least, slider), amount),
    said,
  );
  const hint = make("p", { class: "hg-muted" }, HINT);
  const element = make("div", { class: "hg-arrow-slot", hidden: true }, row, hint);
  keepKeys(row, signal);
  return {
    element,
    update: ({ arrows: all, fence, note }, cells) => {
      const arrows = within(all, cells);
      row.hidden = arrows.length === 0;
      hint.hidden = !row.hidden;
      setText(hint, note || HINT);
      // Where no weights can be read there never are any.
      element.hidden = row.hidden && !note && cells.metrics.length === 0;
      slider.max = String(Math.max(choice.z, highestZ(arrows)));
      slider.value = String(choice.z);
      setText(least, `z ≥ ${choice.z.toFixed(1)}`);
      const drawn = passing(arrows, choice, cells);
      setText(amount, `${drawn.length} of ${arrows.length}`);
      const plain = drawn.some((arrow) => isPlainArrow(arrow, fence));
      setText(
        said,
        `${LEGEND.not_use}.${plain ? ` Gray: ${fence === null ? LEGEND.few : LEGEND.plain}.` : ""}`,
      );
      said.title = note;
    },
  };
}
