/** The badge of a layout that was guessed. Its note is a tooltip, and opens below for fingers and keyboards. */
import { freshId, make, OWN_KEYS, setText } from "./dom";
import type { Plan } from "./wire";

export interface Badge {
  button: HTMLButtonElement;
  note: HTMLElement;
  update(standing: Plan["standing"], note: string): void;
}

const WORDS: Record<Plan["standing"], string> = {
  table: "",
  guess: "guessed layout, not proven",
  proven: "guessed layout, proven",
};

export function makeBadge(signal: AbortSignal): Badge {
  const id = freshId();
  const note = make("p", { class: "hg-standing", id, hidden: true });
  const button = make("button", {
    type: "button",
    class: "hg-badge",
    hidden: true,
    "aria-expanded": "false",
    "aria-controls": id,
    ...OWN_KEYS,
  });
  const open = (isOpen: boolean) => {
    note.hidden = !isOpen;
    button.ariaExpanded = String(isOpen);
  };
  button.addEventListener("click", () => open(note.hasAttribute("hidden")), { signal });
  return {
    button,
    note,
    update: (standing, text) => {
      setText(button, WORDS[standing] ?? "");
      setText(note, text);
      button.title = text;
      button.hidden = button.textContent === "";
      button.disabled = text === "";
      button.classList.toggle("hg-warn", standing === "guess");
      if (button.hidden || !text) open(false);
    },
  };
}
