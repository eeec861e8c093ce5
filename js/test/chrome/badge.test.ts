import { describe, expect, it } from "vitest";
import { makeBadge } from "../../src/chrome/badge";

describe("the badge of a guessed layout", () => {
  const badgeOf = () => makeBadge(new AbortController().signal);

  it("is not there for a layout from the table", () => {
    const { button, note, update } = badgeOf();
    update("table", "");
    expect([button.hidden, note.hidden]).toEqual([true, true]);
  });

  it("warns of a guess, and is calm about one that is proven", () => {
    const { button, update } = badgeOf();
    update("guess", "why");
    expect([button.textContent, button.title, button.className]).toEqual([
      "guessed layout, not proven",
      "why",
      "hg-badge hg-warn",
    ]);
    update("proven", "how");
    expect([button.textContent, button.className]).toEqual(["guessed layout, proven", "hg-badge"]);
  });

  it("opens its note for those who have no pointer to rest on it", () => {
    const { button, note, update } = badgeOf();
    update("guess", "why");
    button.click();
    expect([note.hidden, note.textContent, button.ariaExpanded]).toEqual([false, "why", "true"]);
    button.click();
    expect([note.hidden, button.ariaExpanded]).toEqual([true, "false"]);
  });
});
