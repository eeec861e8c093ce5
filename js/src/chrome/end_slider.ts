/** A mark on the axis of the histogram that is dragged, or moved by keys: an end of the scale, or the threshold. */

import { make, OWN_KEYS, on } from "../dom/elements";
import { clamp } from "../model/numbers";

export interface EndSliderEvents {
  /** It was moved to a value of the axis by a pointer. */
  dragged(value: number): void;
  /** A key moves it by so many steps; infinite for the ends. */
  stepped(steps: number): void;
  /** It was clicked twice, or Delete was pressed on it. */
  reset(): void;
}

export interface EndSlider {
  element: HTMLElement;
  /** Puts it at a value of an axis between two ends, and says what it stands for. */
  update(value: number, low: number, high: number, spoken: string): void;
}

const STEPS: Record<string, number> = {
  ArrowRight: 1,
  ArrowUp: 1,
  ArrowLeft: -1,
  ArrowDown: -1,
  PageUp: 10,
  PageDown: -10,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

/** `axis` is the element that is as wide as the axis. Without a name it is for the pointer alone, beside one that has one. */
export function makeEndSlider(
  kind: string,
  name: string,
  title: string,
  axis: HTMLElement,
  events: EndSliderEvents,
  signal: AbortSignal,
): EndSlider {
  const named = name ? { role: "slider", tabindex: 0, "aria-label": name, ...OWN_KEYS } : {};
  const element = make("div", { class: `hg-end ${kind}`, title, ...named });
  let ends = { low: 0, high: 1 };
  let dragging = -1;
  const valueAt = (x: number) => {
    const { left, width } = axis.getBoundingClientRect();
    return ends.low + clamp((x - left) / (width || 1), 0, 1) * (ends.high - ends.low);
  };
  on(
    element,
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      element.focus({ preventScroll: true });
      dragging = event.pointerId;
      element.setPointerCapture?.(dragging);
    },
    signal,
  );
  on(
    element,
    "pointermove",
    (event) => event.pointerId === dragging && events.dragged(valueAt(event.clientX)),
    signal,
  );
  for (const type of ["pointerup", "pointercancel"] as const)
    on(
      element,
      type,
      () => {
        dragging = -1;
      },
      signal,
    );
  on(element, "dblclick", () => events.reset(), signal);
  on(
    element,
    "keydown",
    (event) => {
      if (event.key === "Delete" || event.key === "Backspace") events.reset();
      else {
        const steps = STEPS[event.key];
        if (steps === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        events.stepped(event.shiftKey ? steps * 10 : steps);
      }
      event.preventDefault();
    },
    signal,
  );
  return {
    element,
    update: (value, low, high, spoken) => {
      ends = { low, high };
      const share = high > low ? clamp((value - low) / (high - low), 0, 1) : 0.5;
      element.style.left = `${(100 * share).toFixed(3)}%`;
      if (!name) return;
      element.ariaValueMin = String(low);
      element.ariaValueMax = String(high);
      element.ariaValueNow = String(value);
      element.ariaValueText = spoken;
    },
  };
}
