/** The selected heads as a table: a row for each, a column for each metric, sorted by a click on a header. */

import { make, OWN_KEYS, on, setText } from "../dom/elements";
import {
  type ColumnSpan,
  type HeadRows,
  orderedRows,
  type RowOrder,
  spanOf,
  valueAt,
} from "../model/head_rows";
import { clamp, short } from "../model/numbers";
import type { CellLinks } from "./composition";

/** The height of a row, in pixels, which the style sheet has too. */
const ROW = 26;
/** So many rows are all drawn; of more, those in sight and some on either side. */
const FEW = 100;
const BEYOND = 12;

export interface HeadTable {
  element: HTMLElement;
  /** The rows, and the cell that is looked at. */
  update(rows: HeadRows | null, looked: number): void;
}

/** Which rows are drawn, the end exclusive, when the list is scrolled by `top` and `height` of it are in sight. */
export function drawnRows(count: number, top: number, height: number): [first: number, end: number] {
  if (count <= FEW) return [0, count];
  const first = clamp(Math.floor(top / ROW) - BEYOND, 0, count);
  return [first, clamp(Math.ceil((top + height) / ROW) + BEYOND, first, count)];
}

/** What a click on a header makes of the order: largest first, then smallest first, then the grid's order again. */
export function nextOrder({ column, descending }: RowOrder, clicked: number): RowOrder {
  if (clicked < 0) return { column: -1, descending: column < 0 && !descending };
  if (column !== clicked) return { column: clicked, descending: true };
  return descending ? { column: clicked, descending: false } : { column: -1, descending: false };
}

export function makeHeadTable(links: CellLinks, signal: AbortSignal): HeadTable {
  const head = make("tr", {});
  const body = make("tbody", {});
  const table = make("table", { "aria-label": "Selected heads" }, make("thead", {}, head), body);
  const port = make("div", { class: "hg-head-port" }, table);
  const note = make("p", { class: "hg-note" });
  const element = make("div", { class: "hg-head-table" }, port, note);
  let rows: HeadRows | null = null;
  let looked = -1;
  let order: RowOrder = { column: -1, descending: false };
  let sorted: number[] = [];
  let spans: ColumnSpan[] = [];
  /** The place in the order that Tab goes to. */
  let stop = 0;
  let headers = "";

  const header = (column: number, label: string, help: string) => {
    const sorter = make("button", { type: "button", class: "hg-sorter", title: help, ...OWN_KEYS }, label);
    on(
      sorter,
      "click",
      () => {
        order = nextOrder(order, column);
        sort();
        port.scrollTop = 0;
        draw();
      },
      signal,
    );
    return make("th", { scope: "col", class: column < 0 ? false : "hg-number" }, sorter);
  };
  const drawHeaders = ({ columns }: HeadRows) => {
    const key = JSON.stringify(columns);
    if (key === headers) return;
    headers = key;
    // A column that went takes its order along.
    if (order.column >= columns.length) order = { column: -1, descending: false };
    head.replaceChildren(
      header(-1, "head", "In the order of the grid"),
      ...columns.map(({ label, help }, column) => header(column, label, help)),
    );
  };
  const sort = () => {
    if (!rows) return;
    sorted = orderedRows(rows, order);
    const { column, descending } = order;
    for (const [k, cell] of [...head.children].entries()) {
      const isBy = k - 1 === column;
      cell.setAttribute("aria-sort", isBy ? (descending ? "descending" : "ascending") : "none");
    }
  };
  const numberCell = (shown: HeadRows, row: number, column: number) => {
    const value = valueAt(shown, row, column);
    const { low, span } = spans[column]!;
    const percent = (at: number) => `${((100 * (at - low)) / span).toFixed(1)}%`;
    const bar = Number.isFinite(value)
      ? `--hg-from:${percent(Math.min(0, value))};--hg-to:${percent(Math.max(0, value))}`
      : "";
    return make("td", { class: value < 0 ? "hg-number hg-below" : "hg-number", style: bar }, short(value));
  };
  const rowOf = (shown: HeadRows, at: number) => {
    const row = sorted[at]!;
    const cell = shown.cells[row]!;
    const link = make(
      "button",
      { type: "button", class: "hg-link", title: links.name(cell), tabindex: -1, ...OWN_KEYS },
      links.word(cell),
    );
    return make(
      "tr",
      { "aria-rowindex": at + 2, "data-at": at, "aria-current": cell === looked ? "true" : undefined },
      make("th", { scope: "row" }, link),
      ...shown.columns.map((_, column) => numberCell(shown, row, column)),
    );
  };
  const gap = (count: number, columns: number) =>
    count
      ? [
          make(
            "tr",
            { "aria-hidden": "true" },
            make("td", { colspan: columns, style: `height:${count * ROW}px` }),
          ),
        ]
      : [];
  const linkAt = (at: number) => body.querySelector<HTMLElement>(`[data-at="${at}"] button`);
  const draw = () => {
    if (!rows) return;
    const count = sorted.length;
    const width = rows.columns.length + 1;
    const [first, end] = drawnRows(count, port.scrollTop, port.clientHeight || 300);
    const focused = body.querySelector(":focus") !== null;
    const shown: HTMLElement[] = [];
    for (let at = first; at < end; at++) shown.push(rowOf(rows, at));
    body.replaceChildren(...gap(first, width), ...shown, ...gap(count - end, width));
    table.setAttribute("aria-rowcount", String(count + 1));
    stop = clamp(stop, 0, count - 1);
    const link = linkAt(stop) ?? linkAt(first);
    if (link) link.tabIndex = 0;
    if (focused) link?.focus({ preventScroll: true });
  };
  /** The row that is `at` in the order, in sight and with the focus. */
  const reach = (at: number) => {
    stop = clamp(at, 0, sorted.length - 1);
    const above = stop * ROW;
    const room = port.clientHeight - ROW;
    if (above < port.scrollTop) port.scrollTop = above;
    else if (above + ROW > port.scrollTop + room) port.scrollTop = above + ROW - room;
    draw();
    linkAt(stop)?.focus({ preventScroll: true });
  };
  const placeOf = (target: EventTarget | null) => {
    const found = (target as HTMLElement).closest<HTMLElement>("[data-at]")?.dataset.at;
    return found === undefined ? -1 : Number(found);
  };

  on(
    body,
    "click",
    ({ target }) => {
      const at = placeOf(target);
      if (!rows || at < 0) return;
      stop = at;
      links.go(rows.cells[sorted[at]!]!);
    },
    signal,
  );
  on(
    body,
    "keydown",
    (event) => {
      const at = placeOf(event.target);
      const page = Math.max(1, Math.floor(port.clientHeight / ROW) - 2);
      const to = {
        ArrowDown: at + 1,
        ArrowUp: at - 1,
        PageDown: at + page,
        PageUp: at - page,
        Home: 0,
        End: sorted.length - 1,
      }[event.key];
      if (to === undefined || at < 0) return;
      event.preventDefault();
      reach(to);
    },
    signal,
  );
  on(port, "scroll", () => sorted.length > FEW && draw(), signal, { passive: true });

  return {
    element,
    update: (next, cell) => {
      const isSame = next === rows && cell === looked;
      rows = next;
      looked = cell;
      element.hidden = !next;
      if (!next || isSame) return;
      drawHeaders(next);
      spans = next.columns.map((_, column) => spanOf(next, column));
      sort();
      draw();
      setText(note, next.note);
      note.hidden = !next.note;
      element.ariaBusy = String(next.pending);
    },
  };
}
