import { describe, expect, it } from "vitest";
import { makePromptRow, type PromptState } from "../../src/live/prompt_row";
import { task } from "../fixtures";

const state = (more: Partial<PromptState> = {}): PromptState => ({
  task: task({ rows: ["when mary", "the cat", "a dog"] }),
  ...{ row: 0, isReading: false, next: [], live: true },
  ...more,
});

function rowOf() {
  const said: unknown[] = [];
  let n = 6;
  const row = makePromptRow(
    {
      send: (text, contrast) => {
        said.push([text, contrast]);
        return ++n;
      },
      row: (row) => said.push(row),
      leave: () => said.push("left"),
    },
    new AbortController().signal,
  );
  document.body.replaceChildren(row.element);
  const [prompt, contrast] = [...row.element.querySelectorAll("input")] as [
    HTMLInputElement,
    HTMLInputElement,
  ];
  const type = (input: HTMLInputElement, text: string) => {
    input.focus();
    input.value = text;
    input.dispatchEvent(new Event("input"));
  };
  const press = (key: string, more = {}) =>
    prompt.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true, ...more }));
  const button = (name: string) =>
    [...row.element.querySelectorAll("button")].find(
      (b) => (b.ariaLabel ?? b.getAttribute("aria-label") ?? b.textContent) === name,
    )!;
  const error = () => row.element.querySelector<HTMLElement>("[role=alert]")!;
  return { ...row, said, prompt, contrast, type, press, button, error };
}

describe("the row of the text", () => {
  it("is not there where no model can be run", () => {
    const { element, update } = rowOf();
    update(state({ task: task({ available: false }) }));
    expect(element.hidden).toBe(true);
    update(state({ task: task() }));
    expect(element.hidden).toBe(false);
  });

  it("shows the row that is looked at, and goes to its neighbors", () => {
    const { prompt, update, button, said, element } = rowOf();
    update(state({ row: 1 }));
    expect(prompt.value).toBe("the cat");
    expect(element.textContent).toContain("row 2 of 3");
    button("Next row").click();
    button("Previous row").click();
    update(state({ row: 2 }));
    button("Next row").click();
    expect([said, prompt.value]).toEqual([[2, 0], "a dog"]);
  });

  it("sends what is typed with Enter, once it is no longer composed, and keeps it until it is answered", () => {
    const { prompt, update, type, press, said } = rowOf();
    update(state());
    type(prompt, "john");
    press("Enter", { isComposing: true });
    expect(said).toEqual([]);
    press("Enter");
    expect(said).toEqual([["john", ""]]);
    update(state({ isReading: true }));
    expect(prompt.value).toBe("john");
    update(state({ task: task({ prompt: 7, rows: ["john"] }) }));
    expect(prompt.value).toBe("john");
    type(prompt, "john gave");
    update(state({ task: task({ prompt: 7, rows: ["mary"] }) }));
    expect(prompt.value).toBe("john gave"); // who has the focus types
    prompt.blur();
    update(state({ task: task({ prompt: 7, rows: ["ella"] }) }));
    expect(prompt.value).toBe("ella");
  });

  it("says why a text is none, keeps it to be corrected, and forgets that once something else is typed", () => {
    const { prompt, update, type, press, error } = rowOf();
    update(state());
    type(prompt, " ");
    press("Enter");
    update(state({ task: task({ prompt: 7, rows: ["when mary"], error: "The text has no tokens." }) }));
    expect([error().hidden, error().textContent, prompt.value]).toEqual([
      false,
      "The text has no tokens.",
      " ",
    ]);
    type(prompt, "a");
    expect(error().hidden).toBe(true);
  });

  it("restores the row's text with Escape, and leaves with another one", () => {
    const { prompt, update, type, press, said } = rowOf();
    update(state());
    type(prompt, "john");
    press("Escape");
    expect([prompt.value, said]).toEqual(["when mary", []]);
    press("Escape");
    expect(said).toEqual(["left"]);
  });

  it("sends a contrast only while that is open", () => {
    const { prompt, contrast, update, type, press, button, said } = rowOf();
    update(state({ task: task({ rows: ["when mary"], contrasts: ["when john"] }) }));
    expect([contrast.value, contrast.closest("label")!.hidden]).toEqual(["when john", true]);
    type(prompt, "if mary");
    press("Enter");
    button("Contrast").click();
    expect(document.activeElement).toBe(contrast);
    type(contrast, "if john");
    press("Enter");
    expect(said).toEqual([
      ["if mary", ""],
      ["if mary", "if john"],
    ]);
  });

  it("shows the next tokens with their probabilities, and that the model runs", () => {
    const { update, element } = rowOf();
    update(state({ next: [{ token: " mary", p: 0.48 }] }));
    expect(element.querySelector(".hg-next")!.textContent).toBe("→·mary 48.0\u00a0%");
    update(state({ isReading: true }));
    expect(element.querySelector(".hg-next")!.textContent).toBe("→running…");
  });

  it("is read only where there is no kernel", () => {
    const { prompt, update, press, said, button } = rowOf();
    update(state({ live: false }));
    press("Enter");
    button("Next row").click();
    expect([prompt.readOnly, said]).toEqual([true, []]);
  });
});
