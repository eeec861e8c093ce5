import { describe, expect, it } from "vitest";
import { FEW, makeKeyList, type PatternState, sentenceOf, textOfPattern } from "../../src/live/key_list";
import { patternsOf } from "../../src/live/patterns";
import { head, liveView } from "../fixtures";

const tokens = ["when", " mary", " to"];
const state = (more: Partial<PatternState> = {}): PatternState => ({
  pattern: patternsOf(liveView(tokens, [head(4, "l0h1", [[1], [0.25, 0.75], [0.04, 0.6, 0.36]])]))[0]!,
  ...{ tokens, keys: tokens, query: 2, key: -1, withoutFirst: false },
  ...more,
});

describe("what a query attends to", () => {
  it("is said in one sentence, strongest first", () => {
    expect(sentenceOf(state())).toBe("l0h1 at to, token 3 of 3: mary 60\u00a0%, to 36\u00a0%, when 4\u00a0%");
    expect(sentenceOf(state({ withoutFirst: true }))).toBe(
      "l0h1 at to, token 3 of 3, the first token left out: mary 60\u00a0%, to 36\u00a0%",
    );
    expect(sentenceOf(state({ query: 0, withoutFirst: true }))).toContain(": nothing");
  });

  it("is copied in full, a line for each query", () => {
    expect(textOfPattern(state()).split("\n")[2]).toBe("·mary\t0.25\t0.75");
  });

  it("is listed with its numbers, and says what is left out", () => {
    const list = makeKeyList(new AbortController().signal);
    list.update(state());
    expect(list.element.querySelector("h4")!.textContent).toBe("at ·to it looks at");
    expect([...list.element.querySelectorAll("li")].map((row) => row.textContent)).toEqual([
      ...["·mary60\u00a0%", "·to36\u00a0%", "when4\u00a0%"],
    ]);
    list.update(state({ withoutFirst: true }));
    expect(list.element.querySelectorAll("li")).toHaveLength(2);
    expect(list.element.querySelector(".hg-note")!.textContent).toBe(
      "Left out: the first token, when, 4\u00a0%",
    );
  });

  it("is listed whole where that is asked for", () => {
    const many = Array.from({ length: 20 }, (_, k) => `w${k}`);
    const rows = many.map((_, q) => Array(q + 1).fill(1 / (q + 1)));
    const [pattern] = patternsOf(liveView(many, [head(4, "l0h1", rows)]));
    const list = makeKeyList(new AbortController().signal);
    list.update(state({ pattern: pattern!, tokens: many, keys: many, query: 19 }));
    const more = list.element.querySelector("button")!;
    expect([list.element.querySelectorAll("li").length, more.textContent]).toEqual([FEW, "all 20 keys"]);
    more.click();
    expect([list.element.querySelectorAll("li").length, more.getAttribute("aria-expanded")]).toEqual([
      20,
      "true",
    ]);
  });
});
