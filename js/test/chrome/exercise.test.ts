import { describe, expect, it } from "vitest";
import { makeExercise } from "../../src/chrome/exercise";
import type { ExerciseState } from "../../src/model/wire";

const OPEN: ExerciseState = {
  ...{
    name: "copies",
    ask: "Which head copies?",
    state: "open",
    sign: "○",
    said: "Not answered, 0 of 2 points",
  },
  ...{ feedback: "", line: "", clicks: true, tries: 0, pending: false },
};

function strip() {
  let checks = 0;
  const made = makeExercise(() => {
    checks += 1;
  }, new AbortController().signal);
  const { element } = made;
  const text = (selector: string) => element.querySelector(selector)!.textContent;
  const checker = element.querySelector("button")!;
  return { ...made, text, checker, checks: () => checks };
}

describe("the strip of an exercise", () => {
  it("takes no room where nothing is asked", () => {
    const { element, update } = strip();
    update({ ...OPEN, name: "" }, true);
    expect(element.hidden).toBe(true);
    update(OPEN, true);
    expect(element.hidden).toBe(false);
  });

  it("asks, and says how to answer until there was a try", () => {
    const { text, update } = strip();
    update(OPEN, true);
    expect(text("p:first-child")).toBe("copies Which head copies?");
    expect(text("[role=status]")).toContain("Select the answer on the grid, then check it.");
    update({ ...OPEN, clicks: false }, true);
    expect(text("[role=status]")).toContain("Answer it in the notebook.");
  });

  it("says what an answer came to with a sign and words, and what keeps it", () => {
    const { element, text, update } = strip();
    const said = { said: "Partly right, 1 of 2 points", feedback: "Something is missing." };
    update({ ...OPEN, ...said, state: "partly", sign: "◐", tries: 1, line: 'ex.check("l1h2")' }, true);
    expect(element.dataset.state).toBe("partly");
    for (const part of ["◐", said.said, said.feedback, 'To keep it, write ex.check("l1h2")'])
      expect(text("[role=status]")).toContain(part);
    expect(text("[aria-hidden]")).toBe("◐");
    update({ ...OPEN, tries: 1 }, true);
    expect(element.querySelector("code")!.parentElement!.hidden).toBe(true);
  });

  it("has the selection checked, but not twice at once and not without a kernel", () => {
    const { checker, checks, text, update } = strip();
    update(OPEN, true);
    checker.click();
    expect(checks()).toBe(1);
    update({ ...OPEN, pending: true }, true);
    checker.click();
    expect(text("[role=status]")).toContain("Checking…");
    update(OPEN, false);
    checker.click();
    expect(checks()).toBe(1);
    expect(checker.title).toMatch(/^Check: /);
    update({ ...OPEN, clicks: false }, true);
    expect(checker.hidden).toBe(true);
  });
});
