import { describe, expect, it } from "vitest";
import { axisOf, effectNodes, textOfEffect, textOfMode } from "../../src/live/effect_view";
import { chance } from "../../src/live/next_tokens";
import { effect } from "../fixtures";

const text = (nodes: HTMLElement[]) => nodes.map((node) => node.textContent).join("\n");

describe("the effect of a selection", () => {
  it("stands on one axis for all modes, which has zero on it", () => {
    const axis = axisOf(effect().modes);
    expect([axis.low, axis.high]).toEqual([-4.6, 0.2]);
    expect(axis.at(axis.low)).toBeGreaterThan(0);
    expect(axis.at(axis.high)).toBeLessThan(100);
    expect(axisOf([]).at(0)).toBe(50);
  });

  it("is said mode by mode beside random sets", () => {
    const [zero, mean] = effect().modes;
    expect(textOfMode(zero!)).toBe("zero: −4.20 (−4.60 to −3.90); 3 other sets: −0.100 to 0.200");
    expect(textOfMode(mean!)).toBe("mean: −3.10");
  });

  it("shows its sentence, a line for each mode, and the next tokens with it, without it and with it alone", () => {
    const nodes = effectNodes(effect(), false);
    const said = text(nodes);
    for (const part of ["l0h1 | l1h2", "It stands out.", "−4.20", "as it is", "·john 41.0\u00a0%", "alone"])
      expect(said).toContain(part);
    const dots = nodes.flatMap((node) => [...node.querySelectorAll(".hg-control")]);
    expect(dots).toHaveLength(3);
  });

  it("says what it waits for, and why there is none", () => {
    expect(text(effectNodes(effect({ pending: true }), false))).toContain("Running the model without it…");
    expect(text(effectNodes(effect(), true))).toContain("Running the model without it…");
    const failed = effect({ modes: [], next: [], error: "The rows differ in length." });
    expect(text(effectNodes(failed, false))).toContain("The rows differ in length.");
    expect(effectNodes(effect({ modes: [], next: [] }), false)).toEqual([]);
  });

  it("is copied as lines", () => {
    expect(textOfEffect(effect()).split("\n")).toEqual([
      "without l0h1 | l1h2",
      "It stands out.",
      "logit difference, zero: −4.20 (−4.60 to −3.90); 3 other sets: −0.100 to 0.200",
      "logit difference, mean: −3.10",
      "as it is: mary >99.9\u00a0%",
      "without: john 41.0\u00a0%",
      "alone: mary 97.0\u00a0%",
    ]);
  });
});

describe("a probability", () => {
  it("is neither all nor nothing unless it is", () => {
    expect([1, 0.9996, 0.412, 0.0004, 0].map(chance)).toEqual(
      ["100.0", ">99.9", "41.2", "<0.1", "0.0"].map((text) => `${text}\u00a0%`),
    );
  });
});
