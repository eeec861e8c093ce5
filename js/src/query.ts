/** The box that shows the selection as text and takes text as a selection. Python has the only parser. */
import { makeCopy } from "./clipboard";
import { freshId, make, OWN_KEYS, setText } from "./dom";
import type { Text } from "./wire";

export interface QueryEvents {
  /** Sends a text; returns the number that its answer will carry. */
  ask(text: string): number;
  /** The user is done here. */
  leave(): void;
  /** Says a sentence aloud. */
  say(sentence: string): void;
}

export interface QueryBox {
  element: HTMLElement;
  focus(): void;
  update(text: Text, live: boolean): void;
}

const HINT = "l1h2 | l0 mlp";

/** What the box shows for a selection; an empty box stands for nothing. */
export function shownText(selection: string): string {
  return selection === "none" ? "" : selection;
}

/** The parts of a text before, at and after an error; an error at the end still marks one blank. */
export function around(text: string, start: number, end: number): [string, string, string] {
  const from = Math.max(0, Math.min(start, text.length));
  const to = Math.max(from, Math.min(end, text.length));
  return [text.slice(0, from), text.slice(from, to) || "\u00a0", text.slice(to)];
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
  const button = makeCopy("Copy the selection's text", () => selection, events.say, signal);
  const error = make("p", { class: "hg-error", id: errorId, role: "alert" });
  const field = make("div", { class: "hg-field" }, underlay, input, button);
  const element = make("div", { class: "hg-query" }, field, error);

  let selection = "none";
  /** What the user has typed and Python has not taken yet. */
  let draft: string | null = null;
  let sent = { n: -1, text: "" };

  const show = () => {
    const value = draft ?? shownText(selection);
    if (input.value !== value) input.value = value;
    input.title = draft === null ? value : "";
    button.disabled = shownText(selection) === "";
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

  input.addEventListener(
    "input",
    () => {
      draft = input.value;
      clearError();
      show();
    },
    { signal },
  );
  input.addEventListener("scroll", align, { signal });
  input.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.isComposing || input.readOnly) return;
      if (event.key === "Enter") {
        event.preventDefault();
        const text = input.value;
        clearError();
        draft = text;
        sent = { n: events.ask(text.trim() ? text : "none"), text };
      } else if (event.key === "Escape") {
        event.preventDefault();
        draft = null;
        clearError();
        show();
        events.leave();
      }
    },
    { signal },
  );

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
  };
}
