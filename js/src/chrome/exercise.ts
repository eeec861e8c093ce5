/** The strip of an exercise: the question, what the last answer came to, and the button that has the selection checked. */

import { button, make, setOff, setText } from "../dom/elements";
import type { ExerciseState } from "../model/wire";
import { LOST } from "./toolbar";

export interface ExerciseStrip {
  element: HTMLElement;
  /** `live` is whether anybody can check. */
  update(state: ExerciseState, live: boolean): void;
}

export function makeExercise(check: () => void, signal: AbortSignal): ExerciseStrip {
  const name = make("b", {});
  const ask = make("span", {});
  const sign = make("span", { "aria-hidden": "true" });
  const said = make("b", {});
  const feedback = make("span", {});
  const line = make("code", {});
  const keep = make("span", {}, "To keep it, write ", line);
  const verdict = make("p", { role: "status" }, sign, said, feedback, keep);
  const checker = button("Check", { class: "hg-button hg-check" }, check, signal);
  const element = make(
    "div",
    { class: "hg-exercise", role: "group", "aria-label": "Exercise" },
    ...[make("p", {}, name, " ", ask), checker, verdict],
  );
  return {
    element,
    update: (state, live) => {
      element.hidden = !state.name;
      element.dataset.state = state.state;
      setText(name, state.name);
      setText(ask, state.ask);
      setText(sign, state.sign);
      setText(said, state.pending ? "Checking…" : state.said);
      const how = state.clicks
        ? "Select the answer on the grid, then check it."
        : "Answer it in the notebook.";
      setText(feedback, state.pending ? "" : state.feedback || (state.tries ? "" : how));
      setText(line, state.line);
      keep.hidden = !state.line || state.pending;
      checker.hidden = !state.clicks;
      setOff(checker, !live || state.pending, live ? "Check what is selected" : `Check: ${LOST}`);
    },
  };
}
