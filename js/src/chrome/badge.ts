/** The badge of a layout that was guessed or is doubted. Its note is a tooltip, and opens below for touch and keyboard. */

import { button, freshId, make, setText } from "../dom/elements";
import type { GridSpec } from "../model/wire";

export interface Badge {
  button: HTMLButtonElement;
  note: HTMLElement;
  update(provenance: GridSpec["provenance"], note: string): void;
}

const WORDS: Record<GridSpec["provenance"], string> = {
  table: "",
  doubted: "doubted",
  guess: "guessed layout, not proven",
  proven: "guessed layout, proven",
};

export function makeBadge(signal: AbortSignal): Badge {
  const id = freshId();
  const note = make("p", { class: "hg-provenance", id, hidden: true });
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
    update: (provenance, text) => {
      const word = WORDS[provenance] ?? "";
      setText(badge, word);
      setText(note, text);
      badge.title = text;
      badge.hidden = !word;
      badge.disabled = !text;
      badge.classList.toggle("hg-warn", provenance === "guess" || provenance === "doubted");
      if (!word || !text) open(false);
    },
  };
}
