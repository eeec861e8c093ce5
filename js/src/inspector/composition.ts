/** The heads that one head composes with: those whose output it reads, and those that read its own. */

import { make, OWN_KEYS } from "../dom/elements";
import { carriedText, isPlainArrow, zOf } from "../grid/arrows";
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

/** The axis of z that all partners share: it holds zero, which is random, the fence, and every z. */
export interface ZAxis {
  /** Where a z lies, from 0 to 100. */
  at(z: number): number;
}

export function zAxisOf(arrows: readonly Arrow[], fence: number | null): ZAxis {
  const all = [0, fence ?? 0, ...arrows.map(zOf)].filter(Number.isFinite);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = 0.04 * (high - low || 1);
  return { at: (z) => 100 * clamp((z - low + room) / (high - low + 2 * room), 0, 1) };
}

export interface CellLinks {
  word(cell: number): string;
  name(cell: number): string;
  go(cell: number): void;
}

/** What the lines of the axis are. */
function axisText(baseline: number, fence: number | null): string {
  const random = `z counts standard deviations above random orientations, whose root mean square is ${short(baseline)}`;
  return fence === null
    ? `${random}. In gray: too few pairs to call one an outlier.`
    : `${random}; beyond ${short(fence)} a pair is an outlier among these. In gray: as most pairs.`;
}

export function makeComposition(partners: Partners, cell: number, links: CellLinks): HTMLElement[] {
  const { arrows, baseline, fence, notes, error } = partners;
  const [lead, ...others] = notes;
  const axis = zAxisOf(arrows, fence);
  const percent = (z: number) => `${axis.at(z).toFixed(1)}%`;
  /** The lines of every row: zero, and the fence where there is one. */
  const lines = `--hg-zero:${percent(0)};--hg-fence:${percent(fence ?? 0)}`;
  const end = (z: number, text: string) => make("span", { style: `--hg-at:${percent(z)}` }, text);
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
        class: "hg-z",
        style: `--hg-from:${percent(Math.min(0, zOf(arrow)))};--hg-to:${percent(Math.max(0, zOf(arrow)))};--hg-at:${percent(zOf(arrow))};${lines}`,
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
              make(
                "td",
                { class: "hg-z-axis", "aria-hidden": "true" },
                make(
                  "div",
                  { class: "hg-z-names" },
                  end(0, "random"),
                  ...(fence === null ? [] : [end(fence, "outlier")]),
                ),
              ),
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
    ...(arrows.length ? [note(`${kinds.join(", ")}. ${axisText(baseline, fence)}`)] : []),
    ...others.map(note),
  ];
}
