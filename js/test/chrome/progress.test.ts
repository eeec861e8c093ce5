import { describe, expect, it, vi } from "vitest";
import { makeProgress } from "../../src/chrome/progress";
import { make } from "../../src/dom/elements";

const progress = { label: "reading every head", done: 3, total: 12 };
const nothing = { label: "", done: 0, total: 0 };

function barOf() {
  const menu = make("select");
  const stop = vi.fn();
  const { element, update } = makeProgress(menu, stop, new AbortController().signal);
  document.body.replaceChildren(menu, element);
  return { menu, element, stop, update, button: element.querySelector("button")! };
}

describe("the progress bar", () => {
  it("is hidden while nothing is computed", () => {
    const { element, update } = barOf();
    expect(element.hidden).toBe(true);
    update(nothing, true);
    expect(element.hidden).toBe(true);
  });

  it("shows how far a scan is, and stops it", () => {
    const { element, update, stop, button, menu } = barOf();
    update(progress, true);
    expect(element.hidden).toBe(false);
    expect(element.querySelector("progress")!.getAttribute("value")).toBe("3");
    expect(element.textContent).toContain("reading every head3 of 12");
    button.click();
    expect([stop.mock.calls.length, document.activeElement]).toEqual([1, menu]);
  });

  it("gives the focus to the menu when it is done", () => {
    const { update, button, menu } = barOf();
    update(progress, true);
    button.focus();
    update(nothing, true);
    expect(document.activeElement).toBe(menu);
  });

  it("shows no work that a kernel does no more", () => {
    const { element, update } = barOf();
    update(progress, false);
    expect(element.hidden).toBe(true);
  });
});
