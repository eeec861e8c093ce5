/** The arrow keys in a row of controls: from one to the next, and round at its ends. */

import { keepKeys, on } from "./elements";

/** Which of `count` controls a key goes to from control `at`; null for a key that goes to none. */
export function neighbor(key: string, at: number, count: number): number | null {
  if (key === "ArrowRight") return (at + 1) % count;
  if (key === "ArrowLeft") return (at + count - 1) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** Has the arrow keys, Home and End focus the controls of a row; `arrive` is told the number of the one reached. */
export function arrowKeys(
  row: HTMLElement,
  controls: () => readonly HTMLElement[],
  arrive: (to: number) => void,
  signal: AbortSignal,
): void {
  keepKeys(row, signal);
  on(
    row,
    "keydown",
    (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const all = controls();
      const at = all.indexOf(event.target as HTMLElement);
      const to = at < 0 ? null : neighbor(event.key, at, all.length);
      if (to === null) return;
      event.preventDefault();
      all[to]!.focus();
      arrive(to);
    },
    signal,
  );
}
