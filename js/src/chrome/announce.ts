/** The live region: one polite sentence after a change, with the counts once Python has them. */

import { atEnd, make } from "../dom/elements";
import type { Text } from "../model/wire";

export interface Announcer {
  element: HTMLElement;
  /** Something was done here. */
  say(sentence: string): void;
  /** Something was asked for here, and is said once Python has done it. */
  later(sentence: string): void;
  /** Python has done what was asked for, or has not: then nothing is said of it. */
  done(was: boolean): void;
  /** Python counted, after whoever's change. */
  counted(text: Text): void;
}

const PATIENCE = 400;
/** What was done and what is selected then may come one after the other. */
const TOGETHER = 50;

/** Of several views of one model, the one that was used last speaks of what others did. Keyed by what they share. */
const speakers = new WeakMap<object, { gone: boolean }>();

export function makeAnnouncer(shared: () => unknown, text: Text, signal: AbortSignal): Announcer {
  // What they share outlives a view, so the map must not lead to anything of one.
  const self = { gone: false };
  const element = make("div", { class: "hg-live", "aria-live": "polite", role: "status" });
  let pending = "";
  let timer = 0;
  let heard = text.selection;
  /** Whether a change was said before its counts were known: it is not said again. */
  let early = false;
  let counts = text.counts;
  const key = () => {
    const held = shared();
    return held && typeof held === "object" ? held : self;
  };
  const speak = (...words: string[]) => {
    clearTimeout(timer);
    pending = "";
    const sentence = words.filter(Boolean).join("; ");
    // The same words again are news too.
    element.textContent = sentence === element.textContent ? `${sentence}\u00a0` : sentence;
  };
  const later = (sentence: string) => {
    clearTimeout(timer);
    speakers.set(key(), self);
    pending = sentence;
  };
  const speaks = () => {
    const speaker = speakers.get(key());
    if (!speaker || speaker.gone) speakers.set(key(), self);
    return speakers.get(key()) === self;
  };
  atEnd(signal, () => {
    clearTimeout(timer);
    self.gone = true;
  });
  return {
    element,
    say: (sentence) => {
      later(sentence);
      timer = window.setTimeout(() => {
        early = true;
        speak(pending);
      }, PATIENCE);
    },
    later,
    done: (was) => {
      clearTimeout(timer);
      if (!was) pending = "";
      else if (pending) timer = window.setTimeout(() => speak(pending, counts), TOGETHER);
    },
    counted: ({ selection, counts: now, error }) => {
      counts = now;
      const isNew = selection !== heard;
      heard = selection;
      if (pending && !error) speak(pending, now);
      else if (isNew && !early && speaks()) speak("selection changed", now);
      if (isNew) early = false;
    },
  };
}
