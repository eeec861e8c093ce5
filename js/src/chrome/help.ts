/** The help: a list of what the mouse and the keys do. */

import { button, make, OWN_KEYS, on } from "../dom/elements";
import { KEYS } from "../grid/keyboard";

export interface Help {
  element: HTMLElement;
  /** Opens or closes it. The focus goes back to where it was, unless it has gone elsewhere meanwhile. */
  toggle(): void;
}

/** What is done outside of the grid. */
const AROUND: typeof KEYS = [
  [
    "Text box",
    [
      ["Enter", "select what it says"],
      ["top 10, > 0.6", "the largest of what colors the cells, or those above a value"],
      ["↑, ↓", "choose a completion, or an earlier text"],
      ["Escape", "back to the grid"],
    ],
  ],
  [
    "Prompt and Live",
    [
      ["Enter", "run the model on the text; on a token: keep it as the query"],
      ["←, →", "to the next token, and what it attends to"],
      ["Escape", "the row's text again; then back to the grid"],
    ],
  ],
  [
    "Saved selections",
    [
      ["Name", "select it again"],
      ["Dot", "show it on the grid; two or more are compared"],
      ["Delete", "to its ×; there, or with Enter: remove it"],
    ],
  ],
  [
    "Colors",
    [
      ["←, →", "on the line: one head more or fewer; on an end of the scale: move it"],
      ["Delete", "back to where it was; or a double click"],
      ["Click", "in the list: look at a head, and select nothing"],
    ],
  ],
  [
    "Buttons and tabs",
    [
      ["←, →", "to the next one"],
      ["Tab", "to the next part of the widget"],
      ["⤓", "save a picture: PNG or SVG"],
    ],
  ],
];

function keysOf(keys: string): (Node | string)[] {
  return keys.split(", ").flatMap((key, k) => [...(k ? [" "] : []), make("kbd", {}, key)]);
}

/** `opened` is told whether it is open; `leave` takes the focus where there is nowhere to go back to. */
export function makeHelp(opened: (open: boolean) => void, leave: () => void, signal: AbortSignal): Help {
  const groups = [...KEYS, ...AROUND].map(([title, rows]) =>
    make(
      "section",
      {},
      make("h4", {}, title),
      make(
        "dl",
        {},
        ...rows.flatMap(([keys, meaning]) => [make("dt", {}, ...keysOf(keys)), make("dd", {}, meaning)]),
      ),
    ),
  );
  const close = button("Close", { "aria-label": "Close the help" }, () => set(false), signal);
  const element = make(
    "div",
    {
      class: "hg-help",
      role: "dialog",
      "aria-label": "Mouse and keys",
      tabindex: -1,
      hidden: true,
      ...OWN_KEYS,
    },
    make("div", { class: "hg-help-head" }, make("span", { class: "hg-strong" }, "Mouse and keys"), close),
    make("div", { class: "hg-keys" }, ...groups),
  );
  let before: Element | null = null;
  const set = (open: boolean) => {
    const { activeElement } = element.getRootNode() as Document;
    const inside = element.contains(activeElement);
    element.hidden = !open;
    opened(open);
    if (open) {
      before = activeElement;
      element.focus({ preventScroll: true });
    } else if (inside) {
      leave();
      if (before instanceof HTMLElement && before.isConnected && before !== document.body)
        before.focus({ preventScroll: true });
    }
  };
  on(
    element,
    "keydown",
    (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.key === "Escape" || event.key === "?") {
        event.preventDefault();
        set(false);
      }
    },
    signal,
  );
  return {
    element,
    toggle: () => set(element.hasAttribute("hidden")),
  };
}
