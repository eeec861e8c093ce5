/** The kernel's connection: whether it answers, and what the view says about that. */
import { atEnd } from "../dom/elements";
import type { Model } from "./sync";
import { VERSION } from "./wire";

/** ipywidgets marks the element of a widget that has lost its kernel; a page without one can set the mark itself. */
export function isDisconnected(el: Element): boolean {
  return el.closest(".jupyter-widgets-disconnected") !== null;
}

/** What is to be said of the kernel; "" while all is well. */
export function noticeOf(live: boolean, version: number, isPage = false): string {
  if (isPage) return "No kernel: cells can be selected, and what was computed before is shown";
  if (!live && version !== VERSION)
    return "No kernel, and this was saved with another version of headgrid: run its cell again";
  if (!live) return "No kernel: this is the last state";
  return version === 0 || version === VERSION
    ? ""
    : "Reload the page: this view and the kernel have different versions of headgrid";
}

interface Bound {
  model?: { comm_live?: unknown };
}

/** Calls back when the kernel goes or comes back, until the signal aborts. */
export function followKernel(model: Model, signal: AbortSignal, changed: (live: boolean) => void): void {
  // The event does not say which way it went. anywidget calls listeners with the view as `this`, which knows.
  const check = function (this: Bound | undefined) {
    changed(this?.model?.comm_live === true);
  };
  const gone = () => changed(false);
  for (const [name, listener] of [
    ["comm_live_update", check],
    ["comm:close", gone],
  ] as const) {
    model.on(name, listener);
    atEnd(signal, () => model.off(name, listener));
  }
}
