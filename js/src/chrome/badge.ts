/** The badge of a layout that was guessed, or that is doubted. Its note is a tooltip, and opens below for fingers and keyboards. */

import type { Plan } from "../model/wire";
import { button, freshId, make, setText } from "./dom";

export interface Badge {
  button: HTMLButtonElement;
  note: HTMLElement;
  update(standing: Plan["standing"], note: string): void;
}

const WORDS: Record<Plan["standing"], string> = {
  table: "",
  doubted: "doubted",
  guess: "guessed layout, not proven",
  proven: "guessed layout, proven",
};

export function makeBadge(signal: AbortSignal): Badge {
  const id = freshId();
  const note = make("p", { class: "hg-standing", id, hidden: true });
  const badge = button(
    "",
    { class: "hg-badge", hidden: true, "aria-expanded": "false", "aria-controls": id },
    () => open(Boolean(note.hidden)),
    signal,
  );
  const open = (isOpen: boolean) => {
    note.hidden = !isOpen;
    badge.ariaExpanded = String(isOpen);
  };
  return {
    button: badge,
    note,
    update: (standing, text) => {
      const word = WORDS[standing] ?? "";
      setText(badge, word);
      setText(note, text);
      badge.title = text;
      badge.hidden = !word;
      badge.disabled = !text;
      badge.classList.toggle("hg-warn", standing === "guess" || standing === "doubted");
      if (!word || !text) open(false);
    },
  };
}
