import { describe, expect, it } from "vitest";
import { HINT, makeStatus, share } from "../../src/chrome/status";
import { text } from "../specs";

describe("the status line", () => {
  it("says how much of the model is selected", () => {
    expect(share(9312, 154946)).toBe("9,312 of 154,946 parameters (6.0%)");
    expect(share(1, 1e9)).toContain("(<0.1%)");
    expect(share(1e9 - 1, 1e9)).toContain("(>99.9%)");
    expect(share(5, 5)).toContain("(100.0%)");
  });

  it("gives a hint when nothing is selected", () => {
    const status = makeStatus();
    status.update(null, text());
    expect(status.element.textContent).toBe(HINT);
    status.update({ word: "l1h2", name: "layer 1 head 2" }, text({ n_selected: 6, counts: "1 head" }));
    expect(status.element.textContent).toBe("l1h2layer 1 head 21 head6 of 100 parameters (6.0%)");
  });

  it("says what no tooltip does, and keeps in full what it cuts off", () => {
    const status = makeStatus();
    const detail = status.element.querySelector<HTMLElement>(`[id=${status.detailId}]`)!;
    const counts = "12 heads, 3 MLPs, parts of 2 heads and 1 MLP";
    status.update(
      { word: "l1h2", name: "layer 1 head 2", detail: "805 parameters; W_O 7 x 28" },
      text({ n_selected: 6, counts }),
    );
    expect([detail.textContent, detail.title]).toEqual([
      "805 parameters; W_O 7 x 28",
      "805 parameters; W_O 7 x 28",
    ]);
    expect(status.element.querySelector<HTMLElement>(".hg-counts")!.title).toBe(counts);
    status.update(null, text());
    expect(detail.textContent).toBe("");
  });
});
