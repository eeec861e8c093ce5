/** What Python is asked to do once: it is said when it is done. */
import type { Announcer } from "../chrome/announce";
import type { Sync } from "./sync";
import type { Deed } from "./wire";

const DONE: Partial<Record<Deed["do"], string>> = {
  undo: "undone",
  redo: "redone",
  save: "saved",
  recall: "selected",
  remove: "removed",
  tint: "colored",
};

export interface Deeds {
  /** Asks for a deed; returns its number. */
  ask(what: Deed["do"], name?: string, value?: string): number;
  /** A step back or forth. */
  step(what: "undo" | "redo"): void;
  /** Python has done something. */
  done(): void;
}

export function makeDeeds(sync: Sync, announcer: Announcer): Deeds {
  /** The number of the last step. */
  let stepped = 0;
  const ask = (what: Deed["do"], name = "", value = "") => {
    announcer.later(`${name} ${DONE[what] ?? ""}`.trim());
    return sync.deed(what, name, value);
  };
  return {
    ask,
    step: (what) => {
      if (sync.history[what]) stepped = ask(what);
      else announcer.say(`nothing to ${what}`);
    },
    done: () => {
      if (!stepped || sync.history.done < stepped) return;
      stepped = 0;
      announcer.done(true);
    },
  };
}
