/** The split of the widget's width between the grid and the inspector. */
import { atEnd } from "../dom/elements";

/** The inspector stands beside the grid from this width on, and only where the grid keeps this much for a column. */
const WIDE = 640;
const PER_COLUMN = 14;
const ENOUGH = 560;
const INSPECTOR = 320;
/** What the inspector takes where the grid's cells are roomy all the same. */
const ROOMY_INSPECTOR = 400;
const ROOMY_COLUMN = 24;
const GAP = 20;

/** Whether the inspector stands beside a grid of so many columns, and the width that is left for the grid. */
export function splitWidth(width: number, columns: number): { wide: boolean; room: number } {
  const roomy = width - ROOMY_INSPECTOR - GAP;
  const beside = roomy >= Math.min(ENOUGH, columns * ROOMY_COLUMN) ? roomy : width - INSPECTOR - GAP;
  const wide = width >= WIDE && beside >= Math.min(ENOUGH, columns * PER_COLUMN);
  return { wide, room: wide ? beside : width };
}

/** Calls back when an element has a width, and when it has another, until the signal aborts. */
export function followWidth(
  element: HTMLElement,
  changed: (width: number, isFirst: boolean) => void,
  signal: AbortSignal,
): void {
  let width = 0;
  // A host may attach and size the element only after render, so everything that measures happens here.
  const observer = new ResizeObserver(([entry]) => {
    const now = Math.floor(entry?.contentRect.width ?? 0);
    if (now === 0 || now === width) return;
    const isFirst = width === 0;
    width = now;
    changed(width, isFirst);
  });
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());
}
