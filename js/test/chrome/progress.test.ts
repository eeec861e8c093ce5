import { describe, expect, it, vi } from "vitest";
import { makeProgress } from "../../src/chrome/progress";
import { make } from "../../src/dom/elements";

const progress = { label: "reading every head", done: 3, total: 12 };
const nothing = { label: "", done: 0, total: 0 };

function workOf() {
  const menu = make("select");
  const element = make("div", {}, make("label", {}, menu), make("span", {}, "an error"));
  document.body.replaceChildren(element);
  const stop = vi.fn();
  const show = makeProgress(menu, stop, new AbortController().signal);
  const work = element.querySelector<HTMLElement>(".hg-progress")!;
  return { menu, element, work, stop, show, button: work.querySelector("button")! };
}

describe("the work that the colors take", () => {
  it("stands between the menu and its error, and is hidden while there is none", () => {
    const { element, work, show } = workOf();
    expect([...element.children].indexOf(work)).toBe(1);
    expect(work.hidden).toBe(true);
    show(nothing, true);
    expect(work.hidden).toBe(true);
  });

  it("shows how far a scan is, and stops it", () => {
    const { work, show, stop, button, menu } = workOf();
    show(progress, true);
    expect(work.hidden).toBe(false);
    expect(work.querySelector("progress")!.getAttribute("value")).toBe("3");
    expect(work.textContent).toContain("reading every head3 of 12");
    button.click();
    expect([stop.mock.calls.length, document.activeElement]).toEqual([1, menu]);
  });

  it("gives the focus to the menu when it is done", () => {
    const { show, button, menu } = workOf();
    show(progress, true);
    button.focus();
    show(nothing, true);
    expect(document.activeElement).toBe(menu);
  });

  it("shows no work that a kernel does no more", () => {
    const { work, show } = workOf();
    show(progress, false);
    expect(work.hidden).toBe(true);
  });
});
