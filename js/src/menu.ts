/** A button that opens a short list of things to do. */
import { button, make } from "./dom";

export interface Menu {
  /** Holds the button and, under it, the list. */
  element: HTMLElement;
  button: HTMLButtonElement;
}

export function makeMenu(
  label: Node | string,
  name: string,
  items: readonly [label: string, run: () => void][],
  signal: AbortSignal,
): Menu {
  const choices = items.map(([text, run]) =>
    button(
      text,
      { role: "menuitem", tabindex: -1 },
      () => {
        close();
        run();
      },
      signal,
    ),
  );
  const list = make("div", { class: "hg-list", role: "menu", "aria-label": name, hidden: true }, ...choices);
  const opener = button(
    label,
    { class: "hg-button hg-icon", "aria-label": name, "aria-haspopup": "menu", "aria-expanded": "false" },
    () => (list.hidden ? open() : close()),
    signal,
  );
  const element = make("span", { class: "hg-pop" }, opener, list);
  const open = () => {
    list.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    choices[0]?.focus();
  };
  const close = () => {
    if (list.hidden) return;
    list.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  };
  opener.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      open();
    },
    { signal },
  );
  list.addEventListener(
    "keydown",
    (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Tab") return close();
      // The row around it has arrow keys of its own.
      event.stopPropagation();
      if (event.key === "Escape") close();
      else if (step) {
        const at = choices.indexOf(event.target as HTMLButtonElement);
        choices[(at + step + choices.length) % choices.length]?.focus();
      } else return;
      event.preventDefault();
    },
    { signal },
  );
  element.addEventListener(
    "focusout",
    ({ relatedTarget }) => {
      if (element.contains(relatedTarget as Node | null)) return;
      list.hidden = true;
      opener.setAttribute("aria-expanded", "false");
    },
    { signal },
  );
  return { element, button: opener };
}
