/** The row of the text: what the model reads, which row of a task that is, and what comes next. */

import { button, freshId, keepKeys, make, OWN_KEYS, on, setOff, setText } from "../dom/elements";
import type { NextToken, TaskState } from "../model/wire";
import { nextChips, textOfNext } from "./next_tokens";

export interface PromptEvents {
  /** Sends a text, and another one to compare it with; returns the number that the answer will carry. */
  send(text: string, contrast: string): number;
  /** Goes to a row of the task. */
  row(row: number): void;
  /** The user is done here. */
  leave(): void;
}

export interface PromptState {
  task: TaskState;
  row: number;
  /** Whether a text was sent that is not answered yet. */
  isReading: boolean;
  next: readonly NextToken[];
  live: boolean;
}

export interface PromptRow {
  element: HTMLElement;
  update(state: PromptState): void;
}

const HINT = "a text for the model to read; Enter runs it";
const CONTRAST_HINT = "a text of as many tokens, to take values from";
/** How many next tokens are shown. */
const NEXT = 5;

/** A text box that shows what is there until something else is typed. */
interface Draft {
  input: HTMLInputElement;
  text: string | null;
}

export function makePromptRow(events: PromptEvents, signal: AbortSignal): PromptRow {
  const errorId = freshId();
  const inputOf = (purpose: string, placeholder: string) =>
    make("input", {
      type: "text",
      class: "hg-prompt-input",
      placeholder,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      dir: "auto",
      "aria-label": purpose,
      "aria-describedby": errorId,
      ...OWN_KEYS,
    });
  const prompt: Draft = { input: inputOf("Prompt; Enter runs the model on it", HINT), text: null };
  const contrast: Draft = {
    input: inputOf("Contrast: a text to compare it with", CONTRAST_HINT),
    text: null,
  };
  const both = [prompt, contrast];
  const error = make("p", { class: "hg-error hg-prompt-error", id: errorId, role: "alert", hidden: true });
  const contrastLine = make(
    "label",
    { class: "hg-prompt-line", hidden: true },
    label("Contrast"),
    contrast.input,
  );
  const opener = button(
    "Contrast",
    { "aria-expanded": "false" },
    () => {
      const open = contrastLine.hidden;
      contrastLine.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
      if (open) contrast.input.focus();
    },
    signal,
  );
  const which = make("span", { role: "status" });
  const step = (by: -1 | 1) => {
    if (state) events.row(state.row + by);
  };
  const back = button(
    "‹",
    { "aria-label": "Previous row", class: "hg-button hg-icon" },
    () => step(-1),
    signal,
  );
  const forth = button("›", { "aria-label": "Next row", class: "hg-button hg-icon" }, () => step(1), signal);
  const stepper = make("span", { class: "hg-stepper", hidden: true }, back, which, forth);
  const next = make("span", { class: "hg-next", role: "group", "aria-label": "Next tokens" });
  const element = make(
    "div",
    { class: "hg-prompt", role: "group", "aria-label": "Text", hidden: true },
    make(
      "div",
      { class: "hg-prompt-main" },
      make("label", { class: "hg-prompt-line" }, label("Prompt"), prompt.input),
      opener,
      stepper,
      next,
    ),
    contrastLine,
    error,
  );
  let state: PromptState | null = null;
  let sent = { n: -1, texts: ["", ""] };

  const shownTexts = ({ task, row }: PromptState) => [task.rows[row] ?? "", task.contrasts[row] ?? ""];
  const say = (message: string) => {
    setText(error, message);
    error.hidden = !message;
    if (message) prompt.input.setAttribute("aria-invalid", "true");
    else prompt.input.removeAttribute("aria-invalid");
  };
  const show = () => {
    if (!state) return;
    const texts = shownTexts(state);
    for (const [k, { input, text }] of both.entries()) {
      const value = text ?? texts[k]!;
      if (input.value !== value) input.value = value;
      input.title = text === null ? value : "";
      input.readOnly = !state.live;
      input.classList.toggle("hg-draft", text !== null && text !== texts[k]);
    }
  };
  const restore = () => {
    for (const draft of both) draft.text = null;
    say("");
    show();
  };
  const send = () => {
    const texts = [prompt.input.value, contrastLine.hidden ? "" : contrast.input.value];
    for (const draft of both) draft.text = draft.input.value;
    say("");
    sent = { n: events.send(texts[0]!, texts[1]!), texts };
  };
  for (const draft of both) {
    const { input } = draft;
    on(
      input,
      "input",
      () => {
        draft.text = input.value;
        say("");
        show();
      },
      signal,
    );
    keepKeys(input, signal);
    on(
      input,
      "keydown",
      (event) => {
        // Enter may end the composition of a letter.
        if (event.isComposing || !state?.live || event.ctrlKey || event.metaKey) return;
        if (event.key === "Enter") send();
        else if (event.key === "Escape") {
          const isChanged = both.some(({ text }) => text !== null) || !error.hidden;
          if (isChanged) restore();
          else events.leave();
        } else return;
        event.preventDefault();
      },
      signal,
    );
  }

  return {
    element,
    update: (now) => {
      const { task, row, isReading, live } = now;
      const isOther = state !== null && (state.row !== row || shownTexts(state)[0] !== shownTexts(now)[0]);
      state = now;
      element.hidden = !task.available && !task.rows.length;
      if (task.prompt === sent.n) {
        // Once: what is typed after the answer is not answered by it.
        sent.n = -1;
        if (task.error) say(task.error);
        else
          for (const [k, draft] of both.entries())
            if (draft.text === sent.texts[k] || k === 1) draft.text = null;
      } else if (isOther && !both.some(({ input }) => input.matches(":focus"))) restore();
      const rows = task.rows.length;
      stepper.hidden = rows < 2;
      setText(which, `row ${row + 1} of ${rows}`);
      which.title = [task.name, task.answers[row] && `scored: ${task.answers[row]}`]
        .filter(Boolean)
        .join("; ");
      setOff(back, row <= 0 || !live, "Previous row");
      setOff(forth, row >= rows - 1 || !live, "Next row");
      const hasContrast = Boolean(task.contrasts[row]);
      opener.title = hasContrast
        ? `Contrast: ${task.contrasts[row]}`
        : "A second text, which patching takes values of";
      opener.classList.toggle("hg-has", hasContrast);
      const waits = live && isReading;
      next.title = now.next.length ? textOfNext(now.next) : "";
      next.replaceChildren(
        ...(waits || now.next.length
          ? [make("span", { class: "hg-muted", "aria-hidden": "true" }, "→")]
          : []),
        ...(waits
          ? [make("span", { class: "hg-muted", role: "status" }, "running…")]
          : nextChips(now.next, NEXT)),
      );
      show();
    },
  };
}

function label(text: string): HTMLElement {
  return make("span", { class: "hg-prompt-label" }, text);
}
