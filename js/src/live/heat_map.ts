/** The pattern of one head, tokens against tokens: a row for each query, a column for each key. */

import { atEnd, make, on, setText } from "../dom/elements";
import { visible } from "../inspector/tokens";
import { clamp } from "../model/numbers";
import type { PatternState } from "./key_list";
import { attentionOf, peakOf, percent, placeOf, poolingOf, type Squares, squaresOf } from "./patterns";
import { drawSquares, type Ramp } from "./squares";

export interface HeatMapEvents {
  /** A query and a key are pointed at, the key -1 where there is none; null when the pointer leaves. */
  reached(at: { query: number; key: number } | null): void;
  chosen(query: number): void;
}

export interface HeatMap {
  element: HTMLElement;
  update(state: PatternState, ramp: Ramp | null): void;
}

/** The longest side of the map, the most room of the labels, and the least side of a square that has one, in pixels. */
const SIDE = 280;
const LABELS = 76;
const LEAST_LABELED = 11;
/** What a label takes: its letters, and the space beside it. */
const PER_LETTER = 6.7;
const BESIDE = 8;
/** No more tokens than these have labels, whatever the size. */
const MANY = SIDE / LEAST_LABELED;

export interface HeatMapLayout {
  pooling: number;
  /** The side of a square. */
  square: number;
  labeled: boolean;
}

/** How so many queries and keys fit into a width, the longest label having so many letters. */
export function layOutMap(queries: number, keys: number, width: number, letters = 99): HeatMapLayout {
  const count = Math.max(queries, keys);
  const labels = Math.min(LABELS, BESIDE + PER_LETTER * letters);
  const beside = clamp(width - labels, 100, SIDE);
  if (beside / count >= LEAST_LABELED)
    return { pooling: 1, square: Math.min(40, Math.floor(beside / count)), labeled: true };
  const side = clamp(width, 100, SIDE);
  const pooling = poolingOf(count, side);
  const square = side / Math.ceil(count / pooling);
  // Whole pixels where that does not make it much smaller.
  return { pooling, square: square >= 4 ? Math.floor(square) : square, labeled: false };
}

/** What is said of a map whose squares stand for several tokens; "" for any other. */
export function poolingText(queries: number, keys: number, pooling: number): string {
  if (pooling < 2) return "";
  const tokens = queries === keys ? `${queries} tokens` : `${queries} queries and ${keys} keys`;
  return `${tokens}: each square is the largest of ${pooling} × ${pooling}`;
}

export function makeHeatMap(events: HeatMapEvents, signal: AbortSignal): HeatMap {
  const canvas = make("canvas", {});
  const row = make("div", { class: "hg-row-frame" });
  const cell = make("div", { class: "hg-cell-frame", hidden: true });
  const plot = make("div", { class: "hg-map-plot" }, canvas, row, cell);
  const side = make("div", { class: "hg-map-side" });
  const head = make("div", { class: "hg-map-head" });
  const grid = make("div", { class: "hg-map-grid", "aria-hidden": "true" }, head, side, plot);
  const readout = make("p", { class: "hg-readout", "aria-hidden": "true" });
  const element = make("div", { class: "hg-map" }, grid, readout);
  let state: PatternState | null = null;
  let ramp: Ramp | null = null;
  let squares: Squares | null = null;
  let layout: HeatMapLayout = { pooling: 1, square: 0, labeled: false };
  let drawn: unknown[] = [];
  /** The width that there is: to ask for it in each frame would lay the page out in each. */
  let width = 0;
  /** The labels of the query and the key. */
  let marked: Element[] = [];

  const labelsOf = (tokens: readonly string[]) =>
    layout.labeled ? tokens.map((token) => make("span", {}, make("bdi", {}, visible(token)))) : [];
  const draw = () => {
    if (!state || element.hidden) return;
    const { pattern, tokens, keys, withoutFirst } = state;
    const letters = Math.max(...tokens.slice(0, MANY).map((token) => visible(token).length));
    layout = layOutMap(pattern.queries, pattern.keys, width || SIDE + LABELS, letters);
    const { pooling, square, labeled } = layout;
    const key = [pattern, withoutFirst, ramp, pooling, square, labeled, tokens, keys];
    if (!key.some((part, k) => part !== drawn[k])) return;
    drawn = key;
    squares = squaresOf(pattern, pooling, withoutFirst);
    drawSquares(canvas, squares, ramp);
    for (const node of [canvas, plot])
      node.style.cssText = `width:${squares.columns * square}px;height:${squares.rows * square}px`;
    element.style.setProperty("--hg-square", `${square}px`);
    side.replaceChildren(...labelsOf(tokens));
    head.replaceChildren(...labelsOf(keys));
    grid.classList.toggle("hg-labeled", labeled);
  };
  /** Moved and not laid out anew: the pattern below is not painted again. */
  const place = (node: HTMLElement, left: number, top: number, width: number, height: number) => {
    node.style.transform = `translate(${left}px,${top}px)`;
    node.style.width = `${width}px`;
    node.style.height = `${height}px`;
  };
  const frame = () => {
    if (!state || !squares) return;
    const { pattern, tokens, keys, query, key } = state;
    const { pooling, square } = layout;
    const at = Math.floor(query / pooling);
    const last = pattern.triangle ? at + 1 : squares.columns;
    place(row, 0, at * square, last * square, square);
    cell.hidden = key < 0;
    if (key >= 0) place(cell, Math.floor(key / pooling) * square, at * square, square, square);
    for (const label of marked) label.classList.remove("hg-marked");
    marked = [side.children[query], head.children[key]].filter((label) => label !== undefined);
    for (const label of marked) label.classList.add("hg-marked");
    const said =
      key < 0
        ? poolingText(pattern.queries, pattern.keys, pooling)
        : `${visible(tokens[query] ?? "")} → ${visible(keys[key] ?? "")}: ${percent(attentionOf(pattern, query, key))}`;
    setText(readout, said);
  };
  /** The query and the key under a pointer. */
  const under = ({ clientX, clientY }: PointerEvent | MouseEvent) => {
    if (!state || !squares || !layout.square) return null;
    const box = canvas.getBoundingClientRect();
    const [column, r] = [clientX - box.left, clientY - box.top].map((v) => Math.floor(v / layout.square)) as [
      number,
      number,
    ];
    if (r < 0 || column < 0 || r >= squares.rows || column >= squares.columns) return null;
    if (Number.isNaN(squares.roots[r * squares.columns + column]!))
      return { query: Math.min(state.pattern.queries - 1, r * layout.pooling), key: -1 };
    const [query, key] = peakOf(state.pattern, squares, r, column);
    return { query, key: placeOf(state.pattern, query, key) < 0 ? -1 : key };
  };
  on(plot, "pointermove", (event) => events.reached(under(event)), signal);
  on(plot, "pointerleave", () => events.reached(null), signal);
  on(
    plot,
    "click",
    (event) => {
      const at = under(event);
      if (at) events.chosen(at.query);
    },
    signal,
  );
  const observer = new ResizeObserver(() => {
    width = element.clientWidth;
    draw();
    frame();
  });
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());

  return {
    element,
    update: (next, colors) => {
      state = next;
      ramp = colors;
      width ||= element.clientWidth;
      draw();
      frame();
    },
  };
}
