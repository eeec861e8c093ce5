/** A polite live region: one sentence after an edit, with the counts once Python has them. */
import { make } from "./dom";

export interface Announcer {
  element: HTMLElement;
  /** Something was done here. */
  say(sentence: string): void;
  /** Python counted. */
  counted(counts: string): void;
}

const PATIENCE = 400;

export function makeAnnouncer(signal: AbortSignal): Announcer {
  const element = make("div", { class: "hg-live", "aria-live": "polite", role: "status" });
  let pending = "";
  let timer = 0;
  const speak = (counts: string) => {
    clearTimeout(timer);
    if (pending) element.textContent = counts ? `${pending}; ${counts}` : pending;
    pending = "";
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    element,
    say: (sentence) => {
      pending = sentence;
      clearTimeout(timer);
      timer = window.setTimeout(() => speak(""), PATIENCE);
    },
    counted: speak,
  };
}
