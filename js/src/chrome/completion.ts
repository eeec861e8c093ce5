/** Completion of the query box: a listbox of the words that may follow the caret, and the history of applied queries. */

import { atEnd, freshId, make, on } from "../dom/elements";
import type { Completion, CompletionList } from "../model/wire";
import type { QueryBox } from "./query";

/** How long typing rests until Python is asked what may follow. */
const SETTLED = 80;

/** A text with a completion inserted, and the position of the caret after it. */
export function accepted(
  text: string,
  { start, end }: Pick<CompletionList, "start" | "end">,
  word: string,
): [text: string, at: number] {
  return [text.slice(0, start) + word + text.slice(end), start + word.length];
}

/** The last 50 applied queries, walked as the history of a shell is, with the draft at its end. */
export class QueryHistory {
  #at = 0;
  /** How many there were at the last step: it stands at the end again where others were applied since. */
  #known = -1;
  #draft = "";

  /** `texts` is what is added to. */
  constructor(private readonly texts: string[]) {}

  /** The text a step back (-1) or forth (1) from the one that is shown; null at either end. */
  step(by: -1 | 1, shown: string): string | null {
    const { texts } = this;
    if (texts.length !== this.#known) this.leave();
    const to = this.#at + by;
    if (to < 0 || to > texts.length) return null;
    if (this.#at === texts.length) this.#draft = shown;
    this.#at = to;
    return texts[to] ?? this.#draft;
  }

  /** Something else is typed: it stands at the end again. */
  leave(): void {
    this.texts.splice(0, this.texts.length - 50);
    this.#at = this.#known = this.texts.length;
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
  input.setAttribute("aria-controls", id);

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
  for (const type of ["pointerdown", "mousedown"] as const)
    on(element, type, (event) => event.preventDefault(), signal);
  on(
    element,
    "click",
    (event) => {
      const option = (event.target as Element).closest("[role=option]");
      if (option) choose([...element.children].indexOf(option));
    },
    signal,
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

export interface Completing {
  /** An answer to what was asked, for the first time or again; one that answers an older text is dropped. */
  update(answer: CompletionList | null): void;
}

/** `complete` asks Python for completions at an offset of a text, and returns the number of the question. */
export function makeCompleting(
  { input, history: applied, type }: QueryBox,
  complete: (text: string, at: number) => number,
  signal: AbortSignal,
): Completing {
  const history = new QueryHistory(applied);
  const options = makeOptions(input, (option) => take(option), signal);
  /** What Python was asked to complete. */
  let wanted = { n: -1, text: "", at: 0 };
  let offer: CompletionList | null = null;
  let timer = 0;

  const close = () => {
    clearTimeout(timer);
    wanted.n = -1;
    options.hide();
  };
  /** Asks what may stand at the caret, after a while. */
  const want = (after: number) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const [text, at] = [input.value, input.selectionStart ?? input.value.length];
      if (!input.readOnly) wanted = { n: complete(text, at), text, at };
    }, after);
  };
  const take = (option: number) => {
    const word = offer?.items[option];
    if (!offer || !word) return;
    const [text, at] = accepted(wanted.text, offer, word.text);
    close();
    history.leave();
    type(text, at);
    if (word.begun) want(0);
  };
  /** An arrow key goes through the list; where there is none, through what was applied before. */
  const step = ({ key, altKey }: KeyboardEvent) => {
    const by = key === "ArrowDown" ? 1 : -1;
    if (altKey) return by > 0 ? want(0) : close();
    if (options.open) return options.move(by);
    const text = history.step(by, input.value);
    if (text === null) return;
    close();
    type(text, text.length);
  };
  /** Whether a key is taken; what is not is the box's. */
  const takes = (event: KeyboardEvent): boolean => {
    const { key } = event;
    const { open, active } = options;
    if (key === "ArrowDown" || key === "ArrowUp") step(event);
    else if (open && active >= 0 && (key === "Enter" || (key === "Tab" && !event.shiftKey))) take(active);
    else {
      if (!/^(Enter|Escape|ArrowLeft|ArrowRight|Home|End)$/.test(key)) return false;
      close();
      if (key === "Escape" && !open) history.leave();
      return key === "Escape" && open;
    }
    return true;
  };

  const field = input.closest(".hg-field")!;
  field.append(options.element);
  // Before the box itself hears of it.
  on(
    field,
    "keydown",
    (event) => {
      const { target, isComposing, ctrlKey, metaKey } = event;
      if (target !== input || isComposing || input.readOnly || ctrlKey || metaKey || !takes(event)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
    { capture: true },
  );
  on(
    input,
    "input",
    (event) => {
      history.leave();
      options.hide();
      if (!(event as InputEvent).isComposing) want(SETTLED);
    },
    signal,
  );
  on(input, "blur", close, signal);
  atEnd(signal, () => clearTimeout(timer));

  return {
    update: (answer) => {
      const { n, text, at } = wanted;
      if (!answer || answer.complete !== n || input.value !== text || input.selectionStart !== at) return;
      // It is told of again with whatever else changes, and the list may be walked already.
      if (answer.complete === offer?.complete) return;
      offer = answer;
      // What only says what already stands there is no help.
      const news = answer.items.some((item) => accepted(text, answer, item.text)[0] !== text);
      if (news) options.show(answer.items);
      else options.hide();
    },
  };
}
