/** A switch between a few states: radio buttons side by side. */
import { freshId, make, OWN_KEYS, on } from "./elements";

export interface Switch<T extends string> {
  element: HTMLElement;
  update(state: T, enabled: boolean): void;
}

export function makeSwitch<T extends string>(
  purpose: string,
  states: readonly { state: T; label: string; spoken: string; title: string }[],
  chosen: (state: T) => void,
  signal: AbortSignal,
): Switch<T> {
  const name = freshId();
  const inputs = states.map(({ state, spoken }) => {
    const input = make("input", { type: "radio", name, value: state, "aria-label": spoken, ...OWN_KEYS });
    on(input, "change", () => input.checked && chosen(state), signal);
    return input;
  });
  const element = make(
    "div",
    { class: "hg-switch", role: "radiogroup", "aria-label": purpose },
    ...states.map(({ label, title }, k) =>
      make("label", { title }, inputs[k]!, make("span", { "aria-hidden": "true" }, label)),
    ),
  );
  return {
    element,
    update: (state, enabled) => {
      for (const input of inputs) {
        input.checked = input.value === state;
        input.disabled = !enabled;
      }
    },
  };
}
