/** The tokens of a text as chips: one of them is the query, and the keys are colored by what it attends to. */

import { atEnd, make, OWN_KEYS, on, perFrame } from "../dom/elements";
import { marked } from "../inspector/tokens";
import { isSpecial } from "./patterns";

/** How many strengths of color are told apart. */
const STEPS = 20;

export interface TextEvents {
  /** A token is pointed at, or reached by a key; null when the pointer leaves. */
  reached(token: number | null, byKey: boolean): void;
  /** A token was clicked, or Enter pressed on it. */
  chosen(token: number): void;
}

export interface TextMarks {
  /** The query; -1 where none of these tokens is one. */
  query: number;
  /** Whether it was chosen to stay. */
  locked: boolean;
  /** How strongly each token is colored, from 0 to 1. */
  strength(token: number): number;
  /** Whether the first token is left out. */
  withoutFirst: boolean;
}

export interface TextLine {
  element: HTMLElement;
  update(tokens: readonly string[]): void;
  mark(marks: TextMarks): void;
}

/** Which token a key goes to; null for a key that goes to none. In a text from right to left the next one is at the left. */
export function tokenFor(key: string, at: number, count: number, rightToLeft: boolean): number | null {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (step) return Math.min(count - 1, Math.max(0, at + (rightToLeft ? -step : step)));
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** `events` is null where the tokens are keys alone, which are looked at and not chosen. */
export function makeTextLine(purpose: string, events: TextEvents | null, signal: AbortSignal): TextLine {
  const element = make("div", {
    class: "hg-text-line",
    role: events ? "listbox" : "list",
    "aria-label": purpose,
    "aria-orientation": events ? "horizontal" : undefined,
    // The text has a direction of its own, which its first letter tells.
    dir: "auto",
  });
  let chips: HTMLElement[] = [];
  let tokens: readonly string[] = [];
  let stop = -1;
  /** The query that is marked. */
  let shown = -1;
  /** How each token is marked. */
  let drawn: string[] = [];
  /** How all of them are to be marked. */
  let marks: TextMarks | null = null;

  const chipOf = (token: string, k: number) =>
    make(
      "span",
      {
        class: "hg-token",
        role: events ? "option" : "listitem",
        title: `${JSON.stringify(token)}, token ${k + 1}`,
        "data-at": k,
        ...(events ? { "aria-selected": "false", ...OWN_KEYS } : {}),
      },
      ...marked(token),
    );
  const numberOf = (target: EventTarget | null) =>
    chips.indexOf((target as HTMLElement | null)?.closest?.<HTMLElement>("[data-at]") as HTMLElement);
  /** One tab stop for all. */
  const setStop = (to: number) => {
    if (stop === to && chips[to]?.tabIndex === 0) return;
    if (chips[stop]) chips[stop]!.tabIndex = -1;
    stop = to;
    if (chips[to]) chips[to]!.tabIndex = 0;
  };

  if (events) {
    on(
      element,
      "pointerover",
      ({ target }) => {
        const at = numberOf(target);
        if (at >= 0) events.reached(at, false);
      },
      signal,
    );
    on(element, "pointerleave", () => events.reached(null, false), signal);
    on(
      element,
      "click",
      ({ target }) => {
        const at = numberOf(target);
        if (at >= 0) events.chosen(at);
      },
      signal,
    );
    on(element, "focusin", ({ target }) => setStop(numberOf(target)), signal);
    on(
      element,
      "keydown",
      (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
        const at = numberOf(event.target);
        if (event.key === "Enter" || event.key === " ") events.chosen(at);
        else {
          const isRightToLeft = getComputedStyle(element).direction === "rtl";
          const to = tokenFor(event.key, at, chips.length, isRightToLeft);
          if (to === null) return;
          chips[to]!.focus();
          events.reached(to, true);
        }
        event.preventDefault();
      },
      signal,
    );
  }

  const paint = (k: number) => {
    if (!marks) return;
    const { query, locked, strength, withoutFirst } = marks;
    const chip = chips[k]!;
    const isQuery = k === query;
    const step = Math.round(STEPS * strength(k));
    const isOut = k === 0 && withoutFirst;
    // Muted, but to be read on a strong color too.
    const isPale = (isOut || isSpecial(tokens[k]!)) && step < 0.4 * STEPS;
    const mark = [step, isQuery, isQuery && locked, isOut, isPale].join();
    if (mark === drawn[k]) return;
    drawn[k] = mark;
    chip.style.setProperty("--hg-strength", `${(100 * step) / STEPS}%`);
    chip.classList.toggle("hg-query-token", isQuery);
    chip.classList.toggle("hg-locked", isQuery && locked);
    chip.classList.toggle("hg-left-out", isOut);
    chip.classList.toggle("hg-pale", isPale);
    if (events) chip.ariaSelected = String(isQuery && locked);
  };
  /** Where the chips are, which is measured once for each layout: to ask while they change would lay them out anew. */
  let layout: { tops: number[]; line: number; height: number } | null = null;
  let scrolled = 0;
  const measured = () => {
    if (!layout) {
      scrolled = element.scrollTop;
      layout = {
        tops: chips.map((chip) => chip.offsetTop),
        line: chips[0]?.offsetHeight ?? 0,
        height: element.clientHeight,
      };
    }
    return layout;
  };
  /** The first chip at a height or below: chips stand in lines, one below the other. */
  const firstBelow = (tops: readonly number[], height: number) => {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle]! > height) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const paintSeen = () => {
    const { tops, line, height } = measured();
    // Where nothing has a size, all is taken to be in sight.
    const end = height ? firstBelow(tops, scrolled + height) : chips.length;
    for (let k = height ? firstBelow(tops, scrolled - line - 1) : 0; k < end; k++) paint(k);
  };
  const scrolls = () => {
    scrolled = element.scrollTop;
    paintSeen();
  };
  const observer = new ResizeObserver(() => {
    layout = null;
    paintSeen();
  });
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());
  on(element, "scroll", perFrame(scrolls, signal), signal, { passive: true });

  return {
    element,
    update: (next) => {
      if (next.length === tokens.length && next.every((token, k) => token === tokens[k])) return;
      const focused = element.querySelector(":focus") !== null;
      tokens = next;
      chips = next.map(chipOf);
      [stop, shown, drawn, layout] = [-1, -1, [], null];
      // The blanks between chips are for those who copy them.
      element.replaceChildren(...chips.flatMap((chip) => [chip, " "]));
      if (events) for (const chip of chips) chip.tabIndex = -1;
      if (focused) {
        setStop(chips.length - 1);
        chips.at(-1)?.focus({ preventScroll: true });
      }
    },
    mark: (next) => {
      const before = marks?.query ?? -1;
      marks = next;
      const { query } = next;
      const isHere = events !== null && element.matches(":focus-within, :hover");
      const { tops, line, height } = measured();
      const top = tops[query] ?? 0;
      // A long text scrolls to its query where that is not in sight, unless it was chosen here.
      const isOut = top < scrolled || top + line > scrolled + height;
      if (events && height && !isHere && query !== shown && isOut)
        element.scrollTop = scrolled = Math.max(0, top - height / 2);
      // Of a thousand tokens those in sight are painted; the query is known to those who do not see them.
      for (const k of [before, query]) if (chips[k]) paint(k);
      paintSeen();
      if (!events) return;
      if (!isHere) setStop(Math.max(0, query));
      shown = query;
    },
  };
}
