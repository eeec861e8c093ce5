import { describe, expect, it } from "vitest";
import { inspectorContent } from "../../src/inspector/content";
import { Sync } from "../../src/model/sync";
import { summary } from "../fixtures";
import { Host } from "../host";
import { on, small, specOf } from "../specs";

const cells = small();
const syncOf = (more = {}) =>
  new Sync(
    new Host({
      spec: specOf(2, 3),
      cells: on(cells),
      partial: on(cells),
      focus: { n: 3, cell: 4, ln: "folded" },
      summary: summary({ focus: 3, cell: 4 }),
      precomputed: [summary({ focus: 0, cell: 8, ln: "raw", title: "l1h0" })],
      ...more,
    }),
  );

describe("the content of the inspector", () => {
  it("is the cell that was asked about, as long as there is a kernel", () => {
    const content = inspectorContent(syncOf(), true, { cell: 8, ln: "raw" });
    expect([content.asked?.title, content.summary?.cell, content.ln]).toEqual(["l0h1", 4, "folded"]);
  });

  it("is the cell that this view inspects without one, from what the page brought along", () => {
    const content = inspectorContent(syncOf(), false, { cell: 8, ln: "folded" });
    expect([content.asked?.title, content.summary?.title, content.ln, content.live]).toEqual([
      "l1h0",
      "l1h0",
      "raw",
      false,
    ]);
  });

  it("is the other reading of a cell of which a page without a kernel brought both", () => {
    const both = (["folded", "raw"] as const).map((ln) => summary({ focus: 0, cell: 4, ln }));
    const contents = (["folded", "raw"] as const).map((ln) =>
      inspectorContent(syncOf({ precomputed: both }), false, { cell: 4, ln }),
    );
    expect(contents.map(({ summary, hasBoth }) => [summary?.ln, hasBoth])).toEqual([
      ["folded", true],
      ["raw", true],
    ]);
    expect(inspectorContent(syncOf(), false, { cell: 8, ln: "raw" }).hasBoth).toBe(false);
  });

  it("is the last answer for its own cell, and nothing for a cell that was not precomputed", () => {
    expect(inspectorContent(syncOf(), false, { cell: 4, ln: "folded" }).summary?.cell).toBe(4);
    const content = inspectorContent(syncOf(), false, { cell: 9, ln: "folded" });
    expect([content.asked?.title, content.summary]).toEqual(["l1h1", null]);
  });
});
