/** The pattern of one head as arcs: queries at the right, keys at the left, an arc to each key that a query attends to. */

import { atEnd, make, on, perFrame, setText } from "../dom/elements";
import { visible } from "../inspector/tokens";
import { clamp } from "../model/numbers";
import { type ArcChoice, arcsOf, LEAST, type RowSpan, STRENGTHS } from "./arcs";
import type { HeatMapEvents } from "./heat_map";
import type { PatternState } from "./key_list";
import { mostOf, percent } from "./patterns";
import type { Ramp } from "./squares";

/** The height of a token, in pixels, which the style sheet has too, and the most that are in sight at once. */
const ROW = 18;
const MOST_ROWS = 24;
/** So many rows beyond those in sight are there already when the list is scrolled. */
const BEYOND = 6;
/** The width of the tokens at either side. */
const SIDE = 88;

export interface ArcView {
  element: HTMLElement;
  /** `pointed` is whether the query was pointed at or chosen: then its arcs alone are drawn. */
  update(state: PatternState, ramp: Ramp | null, pointed: boolean): void;
}

/** The rows that are drawn of so many tokens. */
export function rowsInSight(count: number, top: number, height: number): RowSpan {
  const first = clamp(Math.floor(top / ROW) - BEYOND, 0, count);
  return { first, end: clamp(Math.ceil((top + height) / ROW) + BEYOND, first, count) };
}

export function makeArcView(events: HeatMapEvents, signal: AbortSignal): ArcView {
  const all = make("canvas", {});
  const few = make("canvas", {});
  const left = make("div", { class: "hg-arc-tokens hg-arc-keys" });
  const right = make("div", { class: "hg-arc-tokens hg-arc-queries" });
  const sheet = make("div", { class: "hg-arc-sheet" }, all, few, left, right);
  const port = make("div", { class: "hg-arc-port", "aria-hidden": "true" }, sheet);
  const readout = make("p", { class: "hg-readout", "aria-hidden": "true" });
  const element = make("div", { class: "hg-arcs" }, port, readout);
  let state: PatternState | null = null;
  let ramp: Ramp | null = null;
  let pointed = false;
  /** The key that is pointed at in the column of the keys; -1 for none. */
  let key = -1;
  let most = 1;
  let rows: RowSpan = { first: 0, end: 0 };
  let drawn: unknown[] = [];
  /** The room that there is: to ask for it in each frame would lay the page out in each. */
  let room = { width: 0, height: 0, top: 0 };
  let marked: Element[] = [];

  const paint = (canvas: HTMLCanvasElement, choice: ArcChoice | null) => {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(0, room.width - 2 * SIDE);
    const height = (rows.end - rows.first) * ROW;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down)
      Object.assign(canvas, { width: across, height: down });
    canvas.style.cssText = `top:${rows.first * ROW}px;left:${SIDE}px;width:${width}px;height:${height}px`;
    const context = canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, across, down);
    if (!choice || !state || !ramp) return;
    context.setTransform(ratio, 0, 0, ratio, 0, (0.5 - rows.first) * ROW * ratio);
    context.strokeStyle = `rgb(${ramp.slice(-4, -1).join()})`;
    for (const [level, ends] of arcsOf(state.pattern, rows, most, choice).entries()) {
      const strength = (level + 1) / STRENGTHS;
      // Squared, so that it goes by the attention and not by its root.
      context.globalAlpha = strength ** 2;
      context.lineWidth = 0.75 + 1.25 * strength;
      context.beginPath();
      for (let i = 0; i < ends.length; i += 2) {
        const [from, to] = [ends[i]! * ROW, ends[i + 1]! * ROW];
        context.moveTo(width, from);
        context.bezierCurveTo(0.5 * width, from, 0.5 * width, to, 0, to);
      }
      context.stroke();
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
  };
  const tokensIn = (tokens: readonly string[]) =>
    tokens
      .slice(rows.first, rows.end)
      .map((token, k) =>
        make(
          "span",
          { "data-at": rows.first + k, style: `top:${(rows.first + k) * ROW}px` },
          make("bdi", {}, visible(token)),
        ),
      );
  /** All arcs and the tokens, where something else is in sight than was. */
  const draw = () => {
    if (!state) return;
    const { pattern, tokens, keys, withoutFirst } = state;
    const count = Math.max(tokens.length, keys.length);
    sheet.style.height = `${count * ROW}px`;
    port.style.maxHeight = `${MOST_ROWS * ROW}px`;
    rows = rowsInSight(count, room.top, room.height || MOST_ROWS * ROW);
    const parts = [pattern, tokens, keys, withoutFirst, ramp, rows.first, rows.end, room.width];
    if (parts.every((part, k) => part === drawn[k])) return;
    drawn = parts;
    most = mostOf(pattern, withoutFirst);
    left.replaceChildren(...tokensIn(keys));
    right.replaceChildren(...tokensIn(tokens));
    paint(all, { query: -1, key: -1, withoutFirst });
    setText(
      readout,
      `queries at the right; what is below ${percent((LEAST * most) ** 2)} has no arc${withoutFirst ? ", nor has the first token" : ""}`,
    );
  };
  /** What is pointed at, upon all that stays as it is. */
  const point = () => {
    if (!state) return;
    const { query, withoutFirst } = state;
    const isFew = pointed || key >= 0;
    sheet.classList.toggle("hg-few", isFew);
    paint(few, isFew ? { query: key >= 0 ? -1 : query, key, withoutFirst } : null);
    for (const node of marked) node.classList.remove("hg-marked");
    const at = (side: HTMLElement, place: number) => side.children[place - rows.first];
    marked = [key >= 0 ? at(left, key) : at(right, query)].filter((node) => node !== undefined);
    for (const node of marked) node.classList.add("hg-marked");
  };
  const show = () => {
    draw();
    point();
  };
  const remeasure = () => {
    room = { width: sheet.clientWidth, height: port.clientHeight, top: port.scrollTop };
    show();
  };
  const placeOf = (target: EventTarget | null) => {
    const at = (target as HTMLElement | null)?.closest<HTMLElement>("[data-at]")?.dataset.at;
    return at === undefined ? -1 : Number(at);
  };
  const keyed = (place: number) => {
    if (place === key) return;
    key = place;
    point();
  };
  on(
    right,
    "pointerover",
    ({ target }) => {
      const query = placeOf(target);
      keyed(-1);
      if (query >= 0) events.reached({ query, key: -1 });
    },
    signal,
  );
  on(left, "pointerover", ({ target }) => keyed(placeOf(target)), signal);
  on(left, "pointerleave", () => keyed(-1), signal);
  on(right, "pointerleave", () => events.reached(null), signal);
  on(
    right,
    "click",
    ({ target }) => {
      const query = placeOf(target);
      if (query >= 0) events.chosen(query);
    },
    signal,
  );
  on(port, "scroll", perFrame(remeasure, signal), signal, { passive: true });
  const observer = new ResizeObserver(remeasure);
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());

  return {
    element,
    update: (next, colors, isPointed) => {
      state = next;
      ramp = colors;
      pointed = isPointed;
      if (!element.hidden) show();
    },
  };
}
