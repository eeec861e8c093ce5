import { describe, expect, it } from "vitest";
import { makeFrame, ROOMY_WIDTH, TIGHT_WIDTH } from "../../src/chrome/frame";
import { make } from "../../src/dom/elements";

const part = (name: string) => ({ element: make("div", { id: name }) });

function frameOf() {
  const node = (id: string) => make("div", { id });
  return makeFrame({
    ...{ name: node("name"), notice: node("notice"), prompt: node("prompt"), grid: node("grid") },
    badge: { button: node("badge"), note: node("note") },
    ...{
      tools: part("tools"),
      exercise: part("exercise"),
      query: part("query"),
      tabs: part("tabs"),
      colors: part("colors"),
    },
    ...{ legend: part("legend"), arrows: part("arrows"), saved: part("saved"), start: part("start") },
    ...{ inspector: part("inspector"), help: part("help"), status: part("status"), over: [part("card")] },
  });
}

describe("the frame", () => {
  it("has the boxes above the grid, and below it what colors, legend and arrows say", () => {
    const order = [...frameOf().element.querySelectorAll("[id]")].map(({ id }) => id);
    expect(order).toEqual(
      "name badge note tools exercise query prompt tabs grid colors legend arrows start inspector help saved status notice card".split(
        " ",
      ),
    );
  });

  it("shows how to begin until something is looked at", () => {
    const frame = frameOf();
    const shown = () =>
      ["start", "inspector"].filter((id) => !frame.element.querySelector<HTMLElement>(`#${id}`)!.hidden);
    frame.looked(false);
    expect(shown()).toEqual(["start"]);
    frame.looked(true);
    expect(shown()).toEqual(["inspector"]);
  });

  it("has two boxes in a row where there is room, and breaks rows where there is little", () => {
    const frame = frameOf();
    const classes = (width: number) => {
      frame.fit(width, false, width);
      return [...frame.element.classList].slice(1);
    };
    expect(classes(ROOMY_WIDTH)).toEqual(["hg-roomy"]);
    expect(classes(ROOMY_WIDTH - 1)).toEqual([]);
    expect(classes(TIGHT_WIDTH - 1)).toEqual(["hg-tight"]);
    frame.fit(500, true, 900);
    expect(frame.element.classList.contains("hg-wide")).toBe(true);
    expect(frame.element.style.getPropertyValue("--hg-room")).toBe("500px");
  });
});
