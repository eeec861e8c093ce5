/** A menu of actions under the button that opens it. */
import { button, make, on } from "./elements";

/** What a menu offers, what that does, and whether it is offered now; always where nothing says so. */
export type MenuItem = readonly [label: string, run: () => void, isThere?: () => boolean];

/** Puts the list after its button. Returns what opens and closes it. */
export function makeMenu(opener: HTMLElement, items: readonly MenuItem[], signal: AbortSignal): () => void {
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
  const list = make(
    "div",
    { class: "hg-popup", role: "menu", "aria-label": opener.ariaLabel ?? "", hidden: true },
    ...choices,
  );
  const offered = () => choices.filter(({ hidden }) => !hidden);
  const show = (open: boolean) => {
    if (open) for (const [k, [, , isThere]] of items.entries()) choices[k]!.hidden = !(isThere?.() ?? true);
    list.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
  };
  const close = () => {
    if (list.hidden) return;
    show(false);
    opener.focus();
  };
  opener.after(list);
  on(
    list,
    "keydown",
    (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Tab") return close();
      // The row around it has arrow keys of its own.
      event.stopPropagation();
      if (event.key === "Escape") close();
      else if (step) {
        const there = offered();
        const at = there.indexOf(event.target as HTMLButtonElement);
        there[(at + step + there.length) % there.length]?.focus();
      } else return;
      event.preventDefault();
    },
    signal,
  );
  on(
    opener.parentElement!,
    "focusout",
    ({ currentTarget, relatedTarget }) => {
      if (!(currentTarget as Node).contains(relatedTarget as Node | null)) show(false);
    },
    signal,
  );
  return () => {
    if (!list.hidden) return close();
    show(true);
    offered()[0]?.focus();
  };
}
