/** The commands of one view: each is sent to Python once, and announced when it is done. */

import type { Sync } from "../model/sync";
import type { Command } from "../model/wire";
import type { Announcer } from "./announce";

const DONE: Partial<Record<Command["do"], string>> = {
  undo: "undone",
  redo: "redone",
  save: "saved",
  recall: "selected",
  remove: "removed",
  tint: "colored",
};

export interface Commands {
  /** Asks for a command; returns its number. */
  ask(what: Command["do"], name?: string, value?: string): number;
  /** Undoes or redoes one step. */
  step(what: "undo" | "redo"): void;
  /** Announces what Python has done by now. */
  done(): void;
}

export function makeCommands(sync: Sync, announcer: Announcer): Commands {
  /** The number of the last step. */
  let stepped = 0;
  const ask = (what: Command["do"], name = "", value = "") => {
    announcer.later(`${name} ${DONE[what] ?? ""}`.trim());
    return sync.command(what, name, value);
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
