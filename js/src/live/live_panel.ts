/** The Live tab: what the looked-at head and the selected heads attend to, and what the selection does. */

import { atEnd, freshId, make, OWN_KEYS, on, perFrame, setText } from "../dom/elements";
import { makeSwitch } from "../dom/switch";
import type { LiveView, SelectionEffect, TypeScore } from "../model/wire";
import { makeArcView } from "./arc_view";
import { effectNodes, textOfEffect } from "./effect_view";
import { makeHeadPicker } from "./head_picker";
import { makeHeatMap } from "./heat_map";
import { makeKeyList, type PatternState, sentenceOf, textOfPattern } from "./key_list";
import { attentionOf, averageOf, mostOf, type Pattern, patternsOf, percent } from "./patterns";
import { type Ramp, rampOf } from "./squares";
import { makeTextLine } from "./text_line";

/** What there is to show. */
export interface LiveContent {
  /** The answer to the last question; null while it is not there. */
  view: LiveView | null;
  /** Whether it is about the cell that is looked at now. */
  isCurrent: boolean;
  /** Whether there is a text at all. */
  hasText: boolean;
  /** Whether it is asked for: another view may have closed its tab. */
  isAsked: boolean;
  effect: SelectionEffect;
  /** The cell that is looked at, which is named above the tabs; -1 for none. */
  cell: number;
  /** The selection as text, of which the effect is to be. */
  selection: string;
  /** Whether the kernel answers. */
  live: boolean;
}

export interface LivePanel {
  element: HTMLElement;
  update(content: LiveContent): void;
  /** Reads the style sheet's colors anew. */
  recolor(): void;
  /** What is shown, as text in columns. */
  text(): string;
}

const NO_TEXT = "Type a text into the box above, and press Enter: this shows what the heads attend to in it.";
const WAIT = "Running the model…";
const NOTHING = "Click a head, or select some, to see what they attend to.";
const CLOSED = "Nothing is computed while this tab is closed: choose it again to run the model.";
const LOST = "The kernel ended before this was computed; a running one can compute it.";

/** "induction 0.89 (shuffled tokens 0.03)", those that are most above what they are compared with first. */
export function scoresInOrder(scores: readonly TypeScore[]): string[] {
  return [...scores]
    .sort((a, b) => b.value - b.base - (a.value - a.base))
    .map(({ name, value, base, against }) => `${name} ${value.toFixed(2)} (${against} ${base.toFixed(2)})`);
}

export function makeLivePanel(signal: AbortSignal): LivePanel {
  let content: LiveContent | null = null;
  /** The last answer, which stays in sight until the next one is there. */
  let view: LiveView | null = null;
  let patterns: Pattern[] = [];
  /** The cell of the pattern that is big; -1 for the average, null for the first. */
  let picked: number | null = null;
  let locked: number | null = null;
  let reached: { query: number; key: number } | null = null;
  let ramp: Ramp | null = null;
  /** Whether the pattern is drawn as arcs, and not as a map. */
  let isArcs = false;
  let shownEffect = "";
  /** The root of the attention that has the full color. */
  let most = 1;

  const title = make("span", { class: "hg-word" });
  const scores = make("span", { class: "hg-type-scores" });
  const note = make("p", { class: "hg-note", role: "status" });
  const spoken = make("p", { class: "hg-hidden", "aria-live": "polite", id: freshId() });
  const checkbox = make("input", { type: "checkbox", ...OWN_KEYS });
  const without = make(
    "label",
    {
      class: "hg-without",
      title: "The first token often takes what a head has no use for: leave it out of colors and lists",
    },
    checkbox,
    "without first token",
  );
  const legend = make(
    "span",
    {
      class: "hg-map-legend",
      title: "The color goes by the root of the attention, so that little is not lost",
    },
    "0",
    make("i"),
    make("span"),
  );
  on(checkbox, "change", () => show(), signal);

  const reach = (at: { query: number; key: number } | null) => {
    if (at?.query === reached?.query && at?.key === reached?.key) return;
    reached = at;
    soon();
  };
  /** Says what the query attends to, unless another head's answer is still in sight. */
  const speak = () => {
    const state = stateOf();
    if (state && !element.classList.contains("hg-stale")) setText(spoken, sentenceOf(state));
  };
  const lock = (query: number) => {
    locked = locked === query ? null : query;
    reached = null;
    show();
  };
  const line = makeTextLine(
    "Tokens of the text; Enter keeps one as the query",
    {
      reached: (query, byKey) => {
        reach(query === null ? null : { query, key: -1 });
        // Numbers are said where a key asked for them, and not under a moving pointer.
        if (byKey) speak();
      },
      chosen: lock,
    },
    signal,
  );
  const other = makeTextLine("Tokens that are attended to", null, signal);
  const map = makeHeatMap({ reached: reach, chosen: lock }, signal);
  const arcs = makeArcView({ reached: reach, chosen: lock }, signal);
  const kinds = makeSwitch<"map" | "arcs">(
    "How the pattern is drawn",
    [
      { state: "map", label: "map", spoken: "map", title: "A square for each query and key" },
      { state: "arcs", label: "arcs", spoken: "arcs", title: "Two columns of tokens, and arcs between them" },
    ],
    (kind) => {
      isArcs = kind === "arcs";
      show();
    },
    signal,
  );
  const list = makeKeyList(signal);
  const picker = makeHeadPicker((cell) => {
    picked = cell;
    show();
  }, signal);
  const effect = make("section", {
    class: "hg-effect",
    // No landmark: a page may have several grids.
    role: "group",
    "aria-label": "Effect of the selection",
    hidden: true,
  });
  const pattern = make(
    "section",
    { class: "hg-pattern", role: "group", "aria-label": "Attention pattern" },
    make("div", { class: "hg-pattern-head" }, title, scores),
    line.element,
    other.element,
    make(
      "div",
      { class: "hg-pattern-body" },
      make(
        "div",
        { class: "hg-map-side-by" },
        map.element,
        arcs.element,
        make("div", { class: "hg-map-tools" }, kinds.element, legend, without),
      ),
      make("div", { class: "hg-beside" }, list.element, picker.element),
    ),
  );
  const element = make("div", { class: "hg-live-tab" }, note, pattern, spoken, effect);

  const shownPatterns = () => (patterns.length > 1 ? [...patterns, averageOf(patterns)] : patterns);
  let all: Pattern[] = [];
  const stateOf = (): PatternState | null => {
    const big = all.find(({ cell }) => cell === picked) ?? all[0];
    if (!view || !big) return null;
    const { tokens } = view;
    const keys = view.keys.length ? view.keys : tokens;
    const query = Math.min(reached?.query ?? locked ?? tokens.length - 1, tokens.length - 1);
    return { pattern: big, tokens, keys, query, key: reached?.key ?? -1, withoutFirst: checkbox.checked };
  };
  const mark = (state: PatternState) => {
    const { pattern: big, query, keys, tokens, withoutFirst } = state;
    const isOther = keys !== tokens;
    const strength = (key: number) =>
      withoutFirst && key === 0 ? 0 : Math.sqrt(attentionOf(big, query, key)) / (most || 1);
    const marks = { query, locked: locked === query, withoutFirst };
    line.mark({ ...marks, withoutFirst: withoutFirst && !isOther, strength: isOther ? () => 0 : strength });
    other.mark({ ...marks, query: -1, locked: false, strength: isOther ? strength : () => 0 });
    if (isArcs) arcs.update(state, ramp, reached !== null || locked !== null);
    else map.update(state, ramp);
    list.update(state);
  };
  const noteOf = (): string => {
    if (!content) return "";
    const { hasText, isAsked, live } = content;
    if (content.view?.error) return content.view.error;
    if (!hasText) return NO_TEXT;
    if (live && !isAsked) return CLOSED;
    if (content.view && content.isCurrent && !content.view.pending) return patterns.length ? "" : NOTHING;
    // What is in sight fades meanwhile, and stays where it is.
    return patterns.length ? "" : live ? WAIT : LOST;
  };
  const showEffect = () => {
    if (!content) return;
    const { effect: now, selection, live } = content;
    const isOld = live && now.text !== selection && selection !== "none";
    const key = JSON.stringify([now, isOld]);
    if (key === shownEffect) return;
    shownEffect = key;
    const nodes = now.text === "none" && !now.error && !now.pending ? [] : effectNodes(now, isOld);
    effect.replaceChildren(...nodes);
    effect.hidden = nodes.length === 0;
    effect.classList.toggle("hg-old", isOld);
  };
  const show = () => {
    const state = stateOf();
    const isThere = state !== null && content?.hasText === true;
    setText(note, noteOf());
    note.classList.toggle("hg-error", Boolean(content?.view?.error));
    note.classList.toggle("hg-pending", note.textContent === WAIT);
    pattern.hidden = !isThere;
    // An answer of which no pattern is there yet leaves the last ones in sight, which are of other heads.
    const isOld = !content?.view || !content.isCurrent || (content.view !== view && patterns.length > 0);
    element.classList.toggle("hg-stale", Boolean(content?.live && isOld));
    if (state && isThere) {
      map.element.hidden = isArcs;
      arcs.element.hidden = !isArcs;
      kinds.update(isArcs ? "arcs" : "map", true);
      // The colors are those of the style sheet, which an element that is nowhere does not have.
      if (!ramp && element.isConnected) ramp = rampOf(element);
      line.update(state.tokens);
      other.update(view!.keys);
      other.element.hidden = view!.keys.length === 0;
      scores.replaceChildren(...scoresInOrder(state.pattern.scores).map((text) => make("span", {}, text)));
      setText(title, state.pattern.cell === content?.cell ? "" : state.pattern.title);
      without.hidden = state.keys.length < 3;
      most = mostOf(state.pattern, state.withoutFirst);
      setText(legend.lastElementChild!, percent(most ** 2));
      picker.update(all, state.pattern, view!.n_heads, ramp);
      mark(state);
    }
    showEffect();
  };
  const soon = perFrame(() => {
    const state = stateOf();
    if (state && !pattern.hidden) mark(state);
  }, signal);

  const observer = new ResizeObserver(() => ramp || show());
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());

  return {
    element,
    update: (next) => {
      content = next;
      const before = view;
      if (next.view && next.view !== view && (next.view.heads.length || !next.view.pending)) {
        const isSame = JSON.stringify(view?.tokens) === JSON.stringify(next.view.tokens);
        if (!isSame) [locked, reached] = [null, null];
        const first = next.view.heads[0]?.cell;
        if (view?.heads[0]?.cell !== first) picked = null;
        view = next.view;
        patterns = patternsOf(view);
        all = shownPatterns();
      }
      show();
      // Whoever was on a token when the answer came hears the new one.
      if (view !== before && line.element.querySelector(":focus")) speak();
    },
    recolor: () => {
      ramp = null;
      show();
    },
    text: () => {
      const state = stateOf();
      if (!state) return "";
      const head = [state.pattern.title, ...scoresInOrder(state.pattern.scores)].join("\t");
      return [head, textOfPattern(state), content ? textOfEffect(content.effect) : ""]
        .filter(Boolean)
        .join("\n\n");
    },
  };
}
