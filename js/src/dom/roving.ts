/** Roving focus: one tab stop for all controls of a row; the arrow keys go from one to the next. */

import { arrowKeys } from "./arrow_keys";
import { on } from "./elements";

export interface RovingFocus {
  /** To be called when the controls changed. */
  update(): void;
  /** Runs what may take away the control that has the focus; its neighbor gets it then. */
  keep(change: () => void): void;
}

export function rovingFocus(element: HTMLElement, signal: AbortSignal): RovingFocus {
  let current: HTMLElement | undefined;
  const all = () =>
    [...element.querySelectorAll<HTMLElement>("button:not([role=menuitem]), input")].filter(
      (node) => !node.closest("[hidden]"),
    );
  const update = () => {
    const nodes = all();
    if (!current || !nodes.includes(current)) current = nodes[0];
    for (const node of nodes) node.tabIndex = node === current ? 0 : -1;
  };
  on(
    element,
    "focusin",
    (event) => {
      if (!all().includes(event.target as HTMLElement)) return;
      current = event.target as HTMLElement;
      update();
    },
    signal,
  );
  arrowKeys(element, all, () => {}, signal);
  return {
    update,
    keep: (change) => {
      const before = all();
      const at = before.findIndex((node) => node.matches(":focus"));
      change();
      update();
      const nodes = all();
      if (at < 0 || nodes.some((node) => node.matches(":focus"))) return;
      const focused = before[at]!;
      (nodes.includes(focused) ? focused : nodes[Math.min(at, nodes.length - 1)])?.focus();
    },
  };
}
