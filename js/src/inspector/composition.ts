/** The heads that one head composes with: those whose output it reads, and those that read its own. */

import { make, OWN_KEYS } from "../dom/elements";
import { carriedText, isPlainArrow } from "../grid/arrows";
import { clamp, short } from "../model/numbers";
import type { Arrow, Partners } from "../model/wire";

export const KINDS: Record<Arrow["kind"], string> = {
  Q: "into the query",
  K: "into the key",
  V: "into the value",
};

export interface Group {
  title: string;
  none: string;
  rows: { arrow: Arrow; other: number }[];
}

/** A cell's arrows, those that come and those that go. */
export function groupsOf(arrows: readonly Arrow[], cell: number): [Group, Group] {
  return [
    {
      title: "from earlier heads",
      none: "No earlier head reaches it.",
      rows: arrows.filter((a) => a.target === cell).map((arrow) => ({ arrow, other: arrow.source })),
    },
    {
      title: "to later heads",
      none: "No later head is reached.",
      rows: arrows.filter((a) => a.source === cell).map((arrow) => ({ arrow, other: arrow.target })),
    },
  ];
}

/** A button that goes to another cell. */
export function cellButton(word: string, title: string, go: () => void): HTMLElement {
  const link = make("button", { type: "button", class: "hg-link", title, ...OWN_KEYS }, word);
  link.addEventListener("click", go);
  return link;
}

export interface CellLinks {
  word(cell: number): string;
  name(cell: number): string;
  go(cell: number): void;
}

export function makeComposition(partners: Partners, cell: number, links: CellLinks): HTMLElement[] {
  const { arrows, baseline, fence, notes, error } = partners;
  const [lead, ...others] = notes;
  const most = Math.max(baseline, ...arrows.map(({ value }) => value)) || 1;
  const percent = (value: number) => `${Math.round(100 * clamp(value / most, 0, 1))}%`;
  const row = ({ arrow, other }: Group["rows"][number]) => {
    const { kind, value, z } = arrow;
    return make(
      "tr",
      { class: isPlainArrow(arrow, fence) ? "hg-plain" : false, title: carriedText(arrow) || undefined },
      make("td", {}, make("b", { class: `hg-kind hg-${kind}`, title: KINDS[kind] }, kind)),
      make(
        "th",
        { scope: "row" },
        cellButton(links.word(other), links.name(other), () => links.go(other)),
      ),
      make("td", {
        class: "hg-bar",
        style: `--hg-at:${percent(value)};--hg-base:${percent(baseline)}`,
        "aria-hidden": "true",
      }),
      make("td", { class: "hg-number" }, short(value)),
      make("td", { class: "hg-number" }, Number.isFinite(z) ? z.toFixed(1).replace("-", "−") : "–"),
    );
  };
  const table = ({ title, none, rows }: Group) => [
    make("h4", {}, title),
    rows.length
      ? make(
          "table",
          { class: "hg-partners", "aria-label": title },
          make(
            "thead",
            {},
            make(
              "tr",
              {},
              make("th", { scope: "col" }, make("span", { class: "hg-hidden" }, "kind")),
              make("th", { scope: "col" }, "head"),
              make("td", { "aria-hidden": "true" }),
              make("th", { scope: "col", class: "hg-number" }, "value"),
              make(
                "th",
                { scope: "col", class: "hg-number", title: "standard deviations above random" },
                "z",
              ),
            ),
          ),
          make("tbody", {}, ...rows.map(row)),
        )
      : make("p", { class: "hg-note" }, none),
  ];
  const kinds = Object.entries(KINDS).map(([kind, meaning]) => `${kind} ${meaning}`);
  const note = (text: string) => make("p", { class: "hg-note" }, text);
  return [
    ...(lead ? [note(lead)] : []),
    ...(error ? [make("p", {}, error)] : groupsOf(arrows, cell).flatMap(table)),
    ...(arrows.length
      ? [
          note(
            `${kinds.join(", ")}. The line across the bars is the root mean square of random orientations, ${short(baseline)}; z counts standard deviations above random. In gray: no outlier among these pairs.`,
          ),
        ]
      : []),
    ...others.map(note),
  ];
}
