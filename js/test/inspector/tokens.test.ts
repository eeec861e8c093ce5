import { describe, expect, it } from "vitest";
import { chip, chips, visible } from "../../src/inspector/tokens";
import { tokens } from "../fixtures";

describe("tokens", () => {
  it("show their outer blanks and leave inner ones as they are", () => {
    expect([" the", "the ", "  ", "New York", "the"].map(visible)).toEqual([
      "·the",
      "the·",
      "··",
      "New York",
      "the",
    ]);
  });

  it("show control signs, what has no shape, and that there is nothing", () => {
    expect(["\n", "a\tb", "\u200b", "\u00a0", "", "\u0007"].map(visible)).toEqual([
      "↵",
      "a⇥b",
      "<200b>",
      "<00a0>",
      "∅",
      "<0007>",
    ]);
  });

  it("keep letters of every script whole, and cut what is long", () => {
    expect(visible("日本é👍")).toBe("日本é👍");
    const long = visible("👍".repeat(40));
    expect([...long]).toHaveLength(28);
    expect(long.endsWith("👍…")).toBe(true);
  });

  it("tell exactly what they are, and their logit", () => {
    const node = chip(" the", -2.5, 0.5);
    expect([node.textContent, node.title]).toEqual(["·the", '" the"  logit −2.50']);
  });

  it("are the largest of a side, or the smallest with the other sign", () => {
    const seen = (node: HTMLElement) => [...node.querySelectorAll(".hg-token")].map((t) => t.textContent);
    expect(seen(chips(tokens(" a", "b"), 1))).toEqual(["·a", "b"]);
    expect(seen(chips(tokens(" a", "b"), -1))).toEqual(["not a", "notb"]);
    expect(seen(chips(tokens("a", "b", "c"), 1, 2))).toEqual(["a", "b"]);
    expect(chips(null, 1).textContent).toBe("–");
  });
});
