/** Where the weights of one cell are stored. */
import { make } from "../chrome/dom";
import { thousands } from "../model/numbers";
import type { WeightLocation } from "../model/wire";

/** A dotted name that may break after its dots. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[._])/).flatMap((piece, k) => (k ? [make("wbr"), piece] : [piece]));
}

function rowsOf(place: WeightLocation): HTMLElement[] {
  const whole = `${place.parameter}${place.index}`;
  return [
    make(
      "tr",
      {},
      make("th", { scope: "row" }, place.role),
      make("td", { class: "hg-shape" }, place.shape),
      make(
        "td",
        { class: "hg-number", title: `${thousands(place.count)} parameters` },
        thousands(place.count),
      ),
    ),
    make(
      "tr",
      { class: "hg-location" },
      make(
        "td",
        { colspan: 3, title: whole },
        ...breakable(place.parameter),
        make("span", { class: "hg-index" }, place.index),
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
  const bodies = locations.map((place) => make("tbody", {}, ...rowsOf(place)));
  return make(
    "table",
    { class: "hg-locations", "aria-label": "Where the weights are" },
    make("thead", {}, head),
    ...bodies,
  );
}
