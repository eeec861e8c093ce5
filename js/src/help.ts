/** The panel that lists all keys. */
import { freshId, make, OWN_KEYS } from "./dom";
import { HELP } from "./keyboard";

export interface Help {
  element: HTMLElement;
  button: HTMLButtonElement;
  toggle(): void;
}

function keysOf(keys: string): (Node | string)[] {
  return keys.split(", ").flatMap((key, k) => [...(k ? [" "] : []), make("kbd", {}, key)]);
}

export function makeHelp(closed: () => void, signal: AbortSignal): Help {
  const id = freshId();
  const rows = HELP.flatMap(([keys, meaning]) => [make("dt", {}, ...keysOf(keys)), make("dd", {}, meaning)]);
  const close = make(
    "button",
    { type: "button", class: "hg-button", "aria-label": "Close the help", ...OWN_KEYS },
    "Close",
  );
  const element = make(
    "div",
    {
      class: "hg-help",
      id,
      role: "dialog",
      "aria-label": "Mouse and keys",
      tabindex: -1,
      hidden: true,
      ...OWN_KEYS,
    },
    make("div", { class: "hg-help-head" }, make("span", { class: "hg-help-title" }, "Mouse and keys"), close),
    make("dl", { class: "hg-keys" }, ...rows),
  );
  const button = make(
    "button",
    {
      type: "button",
      class: "hg-button hg-round",
      "aria-label": "? Help",
      title: "Help (?)",
      "aria-expanded": "false",
      "aria-controls": id,
      ...OWN_KEYS,
    },
    "?",
  );
  const isClosed = () => element.hasAttribute("hidden");
  let back: Element | null = null;
  const set = (open: boolean) => {
    if (open) back = (element.getRootNode() as Document | ShadowRoot).activeElement;
    element.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) element.focus({ preventScroll: true });
    else if (back === button) button.focus({ preventScroll: true });
    else closed();
  };
  button.addEventListener("click", () => set(isClosed()), { signal });
  close.addEventListener("click", () => set(false), { signal });
  element.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.key === "Escape" || event.key === "?") {
        event.preventDefault();
        set(false);
      }
    },
    { signal },
  );
  return { element, button, toggle: () => set(isClosed()) };
}
