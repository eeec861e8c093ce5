/** The box that shows the selection as text and takes text as a selection. Python has the only parser. */
import { makeCopy } from "./clipboard";
import { accepted, isBegun, makeOptions, Past } from "./completion";
import { freshId, keepKeys, make, OWN_KEYS, setOff, setText } from "./dom";
import { clamp } from "./numbers";
import type { Completions, Text } from "./wire";

export interface QueryEvents {
  /** Sends a text; returns the number that its answer will carry. */
  ask(text: string): number;
  /** Asks what may stand at a place of a text; returns the number that the answer will carry. */
  complete(text: string, at: number): number;
  /** The user is done here. */
  leave(): void;
  /** Says a sentence aloud. */
  say(sentence: string): void;
}

export interface QueryBox {
  element: HTMLElement;
  focus(): void;
  update(text: Text, live: boolean): void;
  /** An answer to `complete`; one that answers an older text is dropped. */
  complete(answer: Completions | null): void;
}

const HINT = "l1h2 | l0 mlp";
/** How long typing rests until Python is asked what may follow. */
const SETTLED = 80;

/** What the box shows for a selection; an empty box stands for nothing. */
export function shownText(selection: string): string {
  return selection === "none" ? "" : selection;
}

/** The parts of a text before, at and after an error; an error at the end still marks one blank. */
export function around(text: string, start: number, end: number): [string, string, string] {
  const from = clamp(start, 0, text.length);
  const to = clamp(end, from, text.length);
  return [text.slice(0, from), text.slice(from, to) || "\u00a0", text.slice(to)];
}

/** What selects the same in Python. JSON quotes a string as Python reads it. */
export function pythonOf(selection: string): string {
  return `grid.select(${JSON.stringify(selection)})`;
}

export function makeQuery(events: QueryEvents, signal: AbortSignal): QueryBox {
  const errorId = freshId();
  const input = make("input", {
    type: "text",
    class: "hg-input",
    placeholder: HINT,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-label": "Selection as text; Enter applies it",
    "aria-describedby": errorId,
    ...OWN_KEYS,
  });
  const underlay = make("div", { class: "hg-underlay", "aria-hidden": "true" });
  const copies = [
    makeCopy("Copy the selection's text", () => selection, events.say, signal),
    makeCopy("Copy it as a line of Python", () => pythonOf(selection), events.say, signal, "Python"),
  ];
  const error = make("p", { class: "hg-error", id: errorId, role: "alert" });
  const options = makeOptions(input, (option) => take(option), signal);
  const line = make("div", { class: "hg-line" }, underlay, input);
  const field = make("div", { class: "hg-field" }, line, ...copies, options.element);
  const element = make("div", { class: "hg-query" }, field, error);

  let selection = "none";
  /** What the user has typed and Python has not taken yet. */
  let draft: string | null = null;
  let sent = { n: -1, text: "" };
  /** What Python was asked to complete. */
  let wanted = { n: -1, text: "", at: 0 };
  let offer: Completions | null = null;
  let timer = 0;
  const past = new Past();

  const show = () => {
    const value = draft ?? shownText(selection);
    if (input.value !== value) input.value = value;
    input.title = draft === null ? value : "";
    for (const copy of copies) setOff(copy, shownText(selection) === "", copy.title);
    field.classList.toggle("hg-draft", draft !== null);
  };
  const clearError = () => {
    setText(error, "");
    underlay.replaceChildren();
    input.removeAttribute("aria-invalid");
  };
  const align = () => {
    underlay.scrollLeft = input.scrollLeft;
  };
  const refuse = (reason: NonNullable<Text["error"]>) => {
    setText(error, reason.message);
    input.setAttribute("aria-invalid", "true");
    const [before, at, after] = around(sent.text, reason.start, reason.end);
    underlay.replaceChildren(before, make("mark", {}, at), after);
    if (input.matches(":focus")) input.setSelectionRange(reason.end, reason.end);
    align();
  };
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
      if (!input.readOnly) wanted = { n: events.complete(text, at), text, at };
    }, after);
  };
  /** Something else stands in the box. */
  const type = (text: string) => {
    draft = text;
    clearError();
    show();
  };
  const take = (option: number) => {
    const word = offer?.items[option]?.text;
    if (!offer || word === undefined) return;
    const [text, at] = accepted(wanted.text, offer, word);
    close();
    past.leave();
    type(text);
    input.setSelectionRange(at, at);
    if (isBegun(word)) want(0);
  };
  const apply = () => {
    const text = input.value;
    close();
    past.add(text.trim());
    type(text);
    // While it is asked the model already tells of it, which is no answer to the text that was sent before.
    sent = { n: -1, text: "" };
    sent = { n: events.ask(text.trim() ? text : "none"), text };
  };
  const dismiss = () => {
    if (options.open) return close();
    close();
    draft = null;
    past.leave();
    clearError();
    show();
    events.leave();
  };
  /** An arrow key goes through the list; where there is none, through what was applied before. */
  const step = (by: -1 | 1) => {
    if (options.open) return options.move(by);
    const text = past.step(by, input.value);
    if (text === null) return;
    close();
    type(text);
    input.setSelectionRange(text.length, text.length);
  };

  input.addEventListener(
    "input",
    (event) => {
      past.leave();
      type(input.value);
      options.hide();
      if (!(event as InputEvent).isComposing) want(SETTLED);
    },
    { signal },
  );
  input.addEventListener("scroll", align, { signal });
  input.addEventListener("blur", close, { signal });
  keepKeys(input, signal);
  input.addEventListener(
    "keydown",
    (event) => {
      const { key, altKey, shiftKey, ctrlKey, metaKey } = event;
      if (event.isComposing || input.readOnly || ctrlKey || metaKey) return;
      const chosen = options.open && options.active >= 0;
      if ((key === "Enter" || (key === "Tab" && !shiftKey)) && chosen) {
        event.stopPropagation();
        take(options.active);
      } else if (key === "Enter") apply();
      else if (key === "Escape") dismiss();
      else if (altKey && key === "ArrowDown") want(0);
      else if (altKey && key === "ArrowUp") close();
      else if (key === "ArrowDown") step(1);
      else if (key === "ArrowUp") step(-1);
      else {
        if (key === "ArrowLeft" || key === "ArrowRight" || key === "Home" || key === "End") close();
        return;
      }
      event.preventDefault();
    },
    { signal },
  );
  signal.addEventListener("abort", () => clearTimeout(timer));

  return {
    element,
    focus: () => {
      input.focus();
      input.select();
    },
    update: (text, live) => {
      input.readOnly = !live;
      const answered = text.query === sent.n;
      if (answered && text.error && draft === sent.text) refuse(text.error);
      else if (answered && !text.error && draft === sent.text) draft = null;
      if (text.selection !== selection && !input.matches(":focus")) {
        draft = null;
        clearError();
      }
      selection = text.selection;
      show();
    },
    complete: (answer) => {
      const { n, text, at } = wanted;
      if (!answer || answer.complete !== n || input.value !== text || input.selectionStart !== at) return;
      offer = answer;
      // What only says what already stands there is no help.
      const news = answer.items.some((item) => accepted(text, answer, item.text)[0] !== text);
      if (news) options.show(answer.items);
      else options.hide();
    },
  };
}
