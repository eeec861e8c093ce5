/** Where the weights of one cell are stored. */
import { freshId, make, setText } from "./dom";
import type { Place, Summary } from "./wire";

export interface Inspector {
  element: HTMLElement;
  /** The cell that was asked about, by its own words, and the answer once it is there. */
  update(asked: { title: string; name: string } | null, summary: Summary | null): void;
}

/** A dotted name that may break after its dots. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[._])/).flatMap((piece, k) => (k ? [make("wbr"), piece] : [piece]));
}

function rowsOf(place: Place): HTMLElement[] {
  const whole = `${place.parameter}${place.index}`;
  return [
    make(
      "tr",
      {},
      make("th", { scope: "row" }, place.role),
      make("td", { class: "hg-shape" }, place.shape),
      make(
        "td",
        { class: "hg-number", title: `${place.count.toLocaleString("en-US")} parameters` },
        place.count.toLocaleString("en-US"),
      ),
    ),
    make(
      "tr",
      { class: "hg-place" },
      make(
        "td",
        { colspan: 3, title: whole },
        ...breakable(place.parameter),
        make("span", { class: "hg-index" }, place.index),
      ),
    ),
  ];
}

function tableOf(places: Place[]): HTMLElement {
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "Weight"),
    make("th", { scope: "col" }, "Shape"),
    make("th", { scope: "col", class: "hg-number" }, "Entries"),
  );
  const bodies = places.map((place) => make("tbody", {}, ...rowsOf(place)));
  return make("table", { class: "hg-places" }, make("thead", {}, head), ...bodies);
}

export function makeInspector(): Inspector {
  const titleId = freshId();
  const title = make("span", { class: "hg-title", id: titleId });
  const name = make("span", { class: "hg-name" });
  const heading = make("div", { class: "hg-heading" }, title, name);
  const empty = make("p", { class: "hg-empty" }, "Click a cell to see where its weights are stored.");
  const body = make("div", { class: "hg-body" });
  const element = make(
    "div",
    { class: "hg-inspector", role: "group", "aria-label": "Where the weights are stored" },
    heading,
    empty,
    body,
  );
  let shown: Summary | null = null;

  return {
    element,
    update: (asked, summary) => {
      heading.hidden = body.hidden = !asked;
      empty.hidden = Boolean(asked);
      setText(title, summary?.title ?? asked?.title ?? "");
      setText(name, summary?.name ?? asked?.name ?? "");
      element.classList.toggle("hg-waiting", Boolean(asked && !summary));
      element.ariaBusy = String(Boolean(asked && !summary));
      if (!summary || summary === shown) return;
      shown = summary;
      const notes = summary.notes.map((note) => make("p", { class: "hg-note" }, note));
      // The panel does not shrink again, so that what stands below it does not jump from click to click.
      body.style.minHeight = `${body.offsetHeight}px`;
      body.replaceChildren(...(summary.places.length ? [tableOf(summary.places)] : []), ...notes);
    },
  };
}
