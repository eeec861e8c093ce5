/** The traits of what heads do on a text: typed reads, and the two writes that a browser may do. */
import type { LiveQuery, LiveView, Prompt, SelectionEffect, TaskState, Thumbnails, Wire } from "./wire";

/** What is in a trait now, of which any part may be missing. */
export type ReadTrait = <K extends keyof Wire>(trait: K) => Partial<Wire[K]> | undefined;
export type WriteTrait = <K extends keyof Wire>(trait: K, value: Wire[K]) => void;

/** The traits that are read here. */
export const LIVE_TRAITS = ["prompt", "task_state", "live_query", "live", "thumbnails", "effect"] as const;

const NO_TASK: TaskState = {
  ...{ available: false, prompt: 0, typed: false, name: "", rows: [], contrasts: [], answers: [] },
  ...{ metric: "", error: "" },
};
const NO_VIEW: Omit<LiveView, "query" | "focus" | "row"> = {
  ...{ tokens: [], keys: [], triangle: true, heads: [], n_heads: 0, next: [], pending: false, error: "" },
};
/** What stands for the effect of a selection where there is nothing to say. */
export const NO_EFFECT: SelectionEffect = {
  ...{
    text: "none",
    row: 0,
    metric: "",
    clean: 0,
    modes: [],
    sentence: "",
    next: [],
    without: [],
    alone: [],
  },
  ...{ pending: false, error: "" },
};

export class LiveSync {
  readonly #read: ReadTrait;
  readonly #write: WriteTrait;
  /** The views of one widget on this page that show the panel. */
  readonly #open: Set<LiveSync>;

  constructor(read: ReadTrait, write: WriteTrait, open: Set<LiveSync>) {
    this.#read = read;
    this.#write = write;
    this.#open = open;
  }

  /** The task: what the model is asked. */
  get task(): TaskState {
    return { ...NO_TASK, ...this.#read("task_state") };
  }

  /** The last text that any view sent. */
  get prompt(): Prompt {
    return { n: 0, text: "", contrast: "", ...this.#read("prompt") };
  }

  /** Whether a text was sent that Python has not answered yet. */
  get isReading(): boolean {
    return this.prompt.n > this.task.prompt;
  }

  /** What is asked for, by whichever view. Of a task with fewer rows than the one it was chosen of, the last row is. */
  get query(): LiveQuery {
    const asked = this.#asked;
    return { ...asked, row: Math.min(asked.row, Math.max(0, this.task.rows.length - 1)) };
  }

  get #asked(): LiveQuery {
    return { n: 0, row: 0, panel: false, thumbnails: false, ...this.#read("live_query") };
  }

  /** What the heads attend to; null while it answers an older question. */
  get view(): LiveView | null {
    const view = this.#read("live");
    if (!view || (view.query ?? 0) !== this.query.n) return null;
    return { ...NO_VIEW, query: 0, focus: 0, row: 0, ...view };
  }

  /** The patterns of all heads, to be drawn in the cells; null where none are wanted, and while those of another row are there. */
  get thumbnails(): Thumbnails | null {
    const { n, row, thumbnails: wanted } = this.query;
    const found = this.#read("thumbnails");
    // A question that differs in nothing else than the panel leaves them as true as they were.
    if (!wanted || !found?.values || ((found.query ?? 0) !== n && found.row !== row)) return null;
    return { query: 0, row: 0, size: 0, cells: [], note: "", pending: false, ...found } as Thumbnails;
  }

  /** What the selection does; with `text` "none" where there is nothing to say. */
  get effect(): SelectionEffect {
    return { ...NO_EFFECT, ...this.#read("effect") };
  }

  /** Asks for something else to be shown; what is left out stays. Does nothing where that is what was asked last. */
  ask(more: Partial<Omit<LiveQuery, "n">>): void {
    const last = this.#asked;
    const next = { ...last, ...more };
    if (more.panel) this.#open.add(this);
    if (more.panel === false) {
      this.#open.delete(this);
      next.panel = this.#open.size > 0;
    }
    if (JSON.stringify(next) === JSON.stringify(last)) return;
    this.#write("live_query", { ...next, n: last.n + 1 });
  }

  /** The view is gone, and shows nothing any more. */
  close(): void {
    this.#open.delete(this);
  }

  /** Gives the model a text to read. Returns the number that the answer will carry. */
  send(text: string, contrast: string): number {
    const n = Math.max(this.prompt.n, this.task.prompt) + 1;
    this.#write("prompt", { n, text, contrast });
    return n;
  }
}
