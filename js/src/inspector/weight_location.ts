/** Where the weights of one cell are stored. */
import { make } from "../dom/elements";
import { thousands } from "../model/numbers";
import type { WeightLocation } from "../model/wire";

/** A dotted name that may break after its dots. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[._])/).flatMap((piece, k) => (k ? [make("wbr"), piece] : [piece]));
}

function rowsOf(location: WeightLocation): HTMLElement[] {
  const whole = `${location.parameter}${location.index}`;
  return [
    make(
      "tr",
      {},
      make("th", { scope: "row" }, location.role),
      make("td", { class: "hg-shape" }, location.shape),
      make(
        "td",
        { class: "hg-number", title: `${thousands(location.count)} parameters` },
        thousands(location.count),
      ),
    ),
    make(
      "tr",
      { class: "hg-location" },
      make(
        "td",
        { colspan: 3, title: whole },
        ...breakable(location.parameter),
        make("span", { class: "hg-index" }, location.index),
      ),
    ),
  ];
}

export function locationsTable(locations: WeightLocation[]): HTMLElement {
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "Weight"),
    make("th", { scope: "col" }, "Shape"),
    make("th", { scope: "col", class: "hg-number" }, "Entries"),
  );
  const bodies = locations.map((location) => make("tbody", {}, ...rowsOf(location)));
  return make(
    "table",
    { class: "hg-locations", "aria-label": "Where the weights are" },
    make("thead", {}, head),
    ...bodies,
  );
}
