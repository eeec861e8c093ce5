/** The words that may stand at the caret: a listbox under the box. Also what was asked before, as a pure list. */
import { freshId, make } from "./dom";
import type { Completion, Completions } from "./wire";

/** A text with a word put in the place that it completes, and where the caret is then. */
export function accepted(
  text: string,
  { start, end }: Pick<Completions, "start" | "end">,
  word: string,
): [text: string, at: number] {
  return [text.slice(0, start) + word + text.slice(end), start + word.length];
}

/** Whether a word waits for a number: `l1h`, `l1 mlp n`. */
export function isBegun(word: string): boolean {
  return /[\d\]*](h|g|e| mlp n)$/.test(word);
}

/** Texts that were applied, the last 50; walked like the history of a shell, with what is being typed at its end. */
export class Past {
  readonly #texts: string[] = [];
  #at = 0;
  #draft = "";

  add(text: string): void {
    if (text && text !== this.#texts.at(-1)) this.#texts.push(text);
    if (this.#texts.length > 50) this.#texts.shift();
    this.#at = this.#texts.length;
  }

  /** The text a step back (-1) or forth (1) from the one that is shown; null at either end. */
  step(by: -1 | 1, shown: string): string | null {
    const to = this.#at + by;
    if (to < 0 || to > this.#texts.length) return null;
    if (this.#at === this.#texts.length) this.#draft = shown;
    this.#at = to;
    return this.#texts[to] ?? this.#draft;
  }

  /** Something else is typed: it stands at the end again. */
  leave(): void {
    this.#at = this.#texts.length;
  }
}

export interface Options {
  element: HTMLElement;
  readonly open: boolean;
  /** Which option a key would accept; -1 for none. */
  readonly active: number;
  show(items: readonly Completion[]): void;
  hide(): void;
  move(by: -1 | 1): void;
}

export function makeOptions(
  input: HTMLInputElement,
  choose: (option: number) => void,
  signal: AbortSignal,
): Options {
  const id = freshId();
  const element = make("ul", {
    class: "hg-options",
    id,
    role: "listbox",
    "aria-label": "Words",
    hidden: true,
  });
  let active = -1;
  for (const [name, value] of [
    ["role", "combobox"],
    ["aria-autocomplete", "list"],
    ["aria-controls", id],
    ["aria-expanded", "false"],
  ] as const)
    input.setAttribute(name, value);

  const mark = (option: number) => {
    active = option;
    const chosen = element.children[option];
    for (const child of element.children) child.setAttribute("aria-selected", String(child === chosen));
    if (chosen) input.setAttribute("aria-activedescendant", chosen.id);
    else input.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView?.({ block: "nearest" });
  };
  const hide = () => {
    element.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  };
  /** The list stays within the widget where that is high enough: an output of a notebook may cut off what is not. */
  const confine = () => {
    const room = element.closest(".headgrid")?.getBoundingClientRect().bottom ?? 0;
    element.style.maxHeight = `${Math.max(140, room - element.getBoundingClientRect().top - 6)}px`;
  };

  // A press would take the focus from the box; a click, which a finger's scroll is not, chooses.
  element.addEventListener("pointerdown", (event) => event.preventDefault(), { signal });
  element.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
  element.addEventListener(
    "click",
    (event) => {
      const option = (event.target as Element).closest("[role=option]");
      if (option) choose([...element.children].indexOf(option));
    },
    { signal },
  );

  return {
    element,
    get open() {
      return !element.hidden;
    },
    get active() {
      return active;
    },
    show: (items) => {
      element.replaceChildren(
        ...items.map(({ text, note }, k) =>
          make(
            "li",
            { role: "option", id: `${id}-${k}` },
            make("code", {}, text),
            make("span", { class: "hg-muted" }, note),
          ),
        ),
      );
      element.hidden = false;
      input.setAttribute("aria-expanded", "true");
      mark(-1);
      confine();
    },
    hide,
    move: (by) => {
      const { length } = element.children;
      mark(active < 0 && by < 0 ? length - 1 : (active + by + length) % length);
    },
  };
}
