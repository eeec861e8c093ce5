import { describe, expect, it } from "vitest";
import { makeTextLine, tokenFor } from "../../src/live/text_line";

function lineOf(tokens: string[]) {
  const said: unknown[] = [];
  const events = {
    reached: (token: number | null, byKey: boolean) => said.push([token, byKey]),
    chosen: (token: number) => said.push(token),
  };
  const line = makeTextLine("Tokens", events, new AbortController().signal);
  document.body.replaceChildren(line.element);
  line.update(tokens);
  const chips = () => [...line.element.querySelectorAll<HTMLElement>("[role=option]")];
  const press = (key: string) =>
    (document.activeElement as HTMLElement).dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true }),
    );
  const mark = (query: number, more = {}) =>
    line.mark({ query, locked: false, withoutFirst: false, strength: (k) => k / 10, ...more });
  mark(tokens.length - 1);
  return { ...line, said, chips, press, mark };
}

describe("where a key goes in a text", () => {
  it("is one token on, in the direction of the text, and not round its ends", () => {
    expect([tokenFor("ArrowRight", 1, 3, false), tokenFor("ArrowRight", 2, 3, false)]).toEqual([2, 2]);
    expect([tokenFor("ArrowLeft", 1, 3, true), tokenFor("ArrowRight", 0, 3, true)]).toEqual([2, 0]);
    expect([tokenFor("Home", 2, 3, false), tokenFor("End", 0, 3, false), tokenFor("x", 0, 3, false)]).toEqual(
      [...[0, 2, null]],
    );
  });
});

describe("the tokens of a text", () => {
  it("are chips with their blanks visible, in the text's own direction", () => {
    const { chips, element } = lineOf(["שלום", " to", "\n"]);
    expect(chips().map((chip) => chip.textContent)).toEqual(["שלום", "·to", "↵"]);
    expect(element.dir).toBe("auto");
  });

  it("have one tab stop, the query, and arrow keys that go from it", () => {
    const { chips, press, said } = lineOf(["when", " mary", " to"]);
    expect(chips().map(({ tabIndex }) => tabIndex)).toEqual([-1, -1, 0]);
    chips()[2]!.focus();
    press("ArrowLeft");
    expect([document.activeElement, said]).toEqual([chips()[1], [[1, true]]]);
    expect(chips().map(({ tabIndex }) => tabIndex)).toEqual([-1, 0, -1]);
    press("Enter");
    expect(said.at(-1)).toBe(1);
  });

  it("are colored by what the query attends to, and say which is chosen", () => {
    const { chips, mark } = lineOf(["when", " mary", " to"]);
    mark(1, { locked: true, withoutFirst: true });
    expect(chips()[2]!.style.getPropertyValue("--hg-strength")).toBe("20%");
    expect(chips().map((chip) => chip.ariaSelected)).toEqual(["false", "true", "false"]);
    expect(chips()[0]!.className).toContain("hg-left-out");
  });

  it("are muted where they stand for no text, unless they are strongly colored", () => {
    const { chips, mark } = lineOf(["<bos>", "to"]);
    mark(1);
    expect(chips().map((chip) => chip.classList.contains("hg-pale"))).toEqual([true, false]);
    mark(1, { strength: () => 0.9 });
    expect(chips()[0]!.classList.contains("hg-pale")).toBe(false);
  });

  it("stay the same elements while they are the same tokens", () => {
    const { chips, update } = lineOf(["when", " to"]);
    const before = chips()[0];
    update(["when", " to"]);
    expect(chips()[0]).toBe(before);
    update(["when", " a"]);
    expect(chips()[0]).not.toBe(before);
  });
});
