/** What one view looks at: the cell that its panel describes, and the ways to another one. */
import { inspectorContent, type ViewFocus } from "./inspector/content";
import { nameOf, numberAt, type Position, positionOf, wordOf } from "./model/cells";
import { cellsOf } from "./model/stacks";
import type { Ln, Sync } from "./model/sync";
import type { View } from "./model/view";

/** Keys that are held down ask for one description, not for one per cell. */
const SETTLED = 80;

export interface LookingEvents {
  /** Has a cell described by Python. */
  inspect(cell: number): void;
  /** Shows a stack. */
  show(stack: string): void;
  /** Takes the cursor to a position of the stack that is shown. */
  visit(position: Position): void;
  /** What this view looks at, without a kernel, is another cell. */
  changed(): void;
}

export interface Looking {
  /** The cell that is looked at. */
  readonly cell: number;
  /** Whether the panel has anything to show. */
  readonly isLooking: boolean;
  inspect(position: Position, byKey: boolean): void;
  /** Takes cursor and inspector to a cell, in whichever stack it is. */
  go(cell: number): void;
  normed(ln: Ln): void;
  word(cell: number): string;
  name(cell: number): string;
  content(): ReturnType<typeof inspectorContent>;
  /** The kernel ended: what was looked at last stays. */
  keep(): void;
  end(): void;
}

export function makeLooking(sync: Sync, view: View, events: LookingEvents): Looking {
  let asking = 0;
  /** The cell that this view inspects while there is no kernel. */
  let viewFocus: ViewFocus = sync.focus;
  const textOf = (what: typeof wordOf, cell: number) => {
    const position = positionOf(sync.cells, cell);
    return position ? what(sync.cells, position) : "";
  };
  const content = () => inspectorContent(sync, view.live, viewFocus);
  return {
    get cell() {
      return view.live ? sync.focus.cell : viewFocus.cell;
    },
    get isLooking() {
      const { asked, heads, onText, summary } = content();
      return Boolean(asked || heads || summary || onText?.isFirst);
    },
    inspect: (position, byKey) => {
      const cell = numberAt(view.cells, position);
      clearTimeout(asking);
      if (cell < 0) return;
      if (!view.live) {
        viewFocus = { ...viewFocus, cell };
        events.changed();
      } else if (byKey) asking = window.setTimeout(() => events.inspect(cell), SETTLED);
      else events.inspect(cell);
    },
    go: (cell) => {
      const holds = (stack: string) => positionOf(cellsOf(sync.cells, stack), cell) !== null;
      const stack = [view.stack, ...sync.cells.stacks.map(({ name }) => name)].find(holds);
      if (stack === undefined) return;
      events.show(stack);
      const position = positionOf(view.cells, cell);
      if (position) events.visit(position);
    },
    normed: (ln) => {
      if (!view.live) {
        viewFocus = { ...viewFocus, ln };
        return events.changed();
      }
      const { metric } = sync;
      sync.inspect(sync.focus.cell, ln);
      if (metric) sync.recolor(metric, ln);
    },
    word: (cell) => textOf(wordOf, cell),
    name: (cell) => textOf(nameOf, cell),
    content,
    keep: () => {
      viewFocus = sync.focus;
    },
    end: () => clearTimeout(asking),
  };
}
