/** Whether a kernel still answers. A model does not say so itself: ipywidgets fires an event and marks the element. */
import type { Model } from "./sync";

const MARK = ".jupyter-widgets-disconnected";

export function isDisconnected(el: Element): boolean {
  return el.closest(MARK) !== null;
}

/** Calls back when the kernel goes or comes back, until the signal aborts. */
export function followKernel(
  model: Model,
  el: Element,
  signal: AbortSignal,
  changed: (live: boolean) => void,
): void {
  // The mark is set by another listener of the same event, so look a moment later.
  const look = () =>
    queueMicrotask(() => changed(el.closest(".jupyter-widgets") !== null && !isDisconnected(el)));
  const gone = () => changed(false);
  const listeners = { comm_live_update: look, "comm:close": gone } as const;
  for (const [name, listener] of Object.entries(listeners)) {
    model.on(name, listener);
    signal.addEventListener("abort", () => model.off(name, listener));
  }
}
