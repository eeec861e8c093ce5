/** The query box: shows the selection as text and sends text to Python, which has the only parser. */

import { freshId, keepKeys, make, OWN_KEYS, on, setText } from "../dom/elements";
import { clamp } from "../model/numbers";
import type { Text } from "../model/wire";

export interface QueryEvents {
  /** Sends a text; returns the number that its answer will carry. */
  ask(text: string): number;
  say(sentence: string): void;
  /** The user is done here. */
  leave(): void;
}

export interface QueryBox {
  element: HTMLElement;
  input: HTMLInputElement;
  /** The applied queries, oldest first. */
  history: string[];
  focus(): void;
  /** Puts a text into the box as if it was typed, with the caret at an offset. */
  type(text: string, at: number): void;
  update(text: Text, live: boolean): void;
}

const HINT = "e.g. l1h2 | l0 mlp, top 10, or > 0.6";

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

/** `copier` stands at the end of the box: it copies the selection. */
export function makeQuery(events: QueryEvents, copier: HTMLElement, signal: AbortSignal): QueryBox {
  const errorId = freshId();
  const input = make("input", {
    type: "text",
    class: "hg-input",
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    placeholder: HINT,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-label": "Selection as text; Enter applies it",
    "aria-describedby": errorId,
    ...OWN_KEYS,
  });
  const underlay = make("div", { class: "hg-underlay", "aria-hidden": "true" });
  const error = make("p", { class: "hg-error", id: errorId, role: "alert" });
  const line = make("div", { class: "hg-line" }, underlay, input);
  const field = make("div", { class: "hg-field" }, line, copier);
  const element = make("div", { class: "hg-query" }, field, error);

  let selection = "none";
  /** What the user has typed and Python has not taken yet. */
  let draft: string | null = null;
  let sent = { n: -1, text: "" };
  const history: string[] = [];

  const show = () => {
    const value = draft ?? shownText(selection);
    if (input.value !== value) {
      const all = input.selectionEnd! - input.selectionStart! === input.value.length;
      input.value = value;
      // Who is about to type over the text types over the one that came, and does not go on at its end.
      if (all && draft === null && input.matches(":focus")) input.select();
    }
    input.title = draft === null ? value : "";
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
  /** Something else stands in the box. */
  const type = (text: string) => {
    draft = text;
    clearError();
    show();
  };
  const apply = () => {
    const text = input.value;
    const asked = text.trim();
    if (asked && asked !== history.at(-1)) history.push(asked);
    type(text);
    sent = { n: events.ask(asked || "none"), text };
  };
  const dismiss = () => {
    draft = null;
    clearError();
    show();
    events.leave();
  };

  on(input, "input", () => type(input.value), signal);
  on(input, "scroll", align, signal);
  keepKeys(input, signal);
  on(
    input,
    "keydown",
    (event) => {
      const { key } = event;
      if (event.isComposing || input.readOnly || event.ctrlKey || event.metaKey) return;
      if (key === "Enter") apply();
      else if (key === "Escape") dismiss();
      else return;
      event.preventDefault();
    },
    signal,
  );

  return {
    element,
    input,
    history,
    focus: () => {
      input.focus();
      input.select();
    },
    type: (text, at) => {
      type(text);
      input.setSelectionRange(at, at);
    },
    update: (text, live) => {
      input.readOnly = !live;
      if (text.query === sent.n) {
        // Once: what is typed after the answer is not answered by it, though it may be the same text.
        sent.n = -1;
        if (draft === sent.text) {
          if (text.error) refuse(text.error);
          else draft = null;
        }
      }
      if (text.selection !== selection && !input.matches(":focus")) {
        draft = null;
        clearError();
      }
      selection = text.selection;
      show();
    },
  };
}
