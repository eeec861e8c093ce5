import { describe, expect, it } from "vitest";
import { hasTextTab } from "../../src/inspector/content";
import { liveContent, nextOf, patternsNote } from "../../src/live/content";
import { Sync } from "../../src/model/sync";
import { effect, head, liveView, task } from "../fixtures";
import { Host } from "../host";
import { on, small, specOf } from "../specs";

const cells = small();
const [EMBED, L0H0, L0H1] = [0, 3, 4];
const syncOf = (more = {}, ...selected: number[]) =>
  new Sync(
    new Host({
      ...{ spec: specOf(2, 3), cells: on(cells, ...selected), partial: on(cells) },
      ...{
        task_state: task({ rows: ["when mary"] }),
        live_query: { n: 1, row: 0, panel: true, thumbnails: true },
      },
      ...more,
    }),
  );

describe("the Live tab", () => {
  it("is there for a head, or for selected heads where nothing is looked at", () => {
    expect([hasTextTab(syncOf(), true, L0H1), hasTextTab(syncOf(), true, EMBED)]).toEqual([true, false]);
    expect([hasTextTab(syncOf(), true, -1), hasTextTab(syncOf({}, L0H0), true, -1)]).toEqual([false, true]);
    expect(hasTextTab(syncOf({ task_state: task({ available: false }) }), true, L0H1)).toBe(false);
  });

  it("is there without a kernel only for what was computed before", () => {
    const live = liveView(["when"], [head(L0H1, "l0h1", [[1]])]);
    expect([hasTextTab(syncOf({ live }), false, L0H1), hasTextTab(syncOf({ live }), false, L0H0)]).toEqual([
      true,
      false,
    ]);
    expect(hasTextTab(syncOf(), false, L0H1)).toBe(false);
  });

  it("knows whether its answer is about the cell that is looked at", () => {
    const live = liveView(["when"], [], { focus: 2 });
    const focus = (n: number) => ({ n, cell: L0H1, ln: "folded" });
    expect(liveContent(syncOf({ live, focus: focus(2) }), true, L0H1).isCurrent).toBe(true);
    expect(liveContent(syncOf({ live, focus: focus(3) }), true, L0H1).isCurrent).toBe(false);
  });
});

describe("what is beside the text", () => {
  it("are the next tokens of this row", () => {
    const next = [{ token: " a", p: 0.5 }];
    expect(nextOf(syncOf({ live: liveView([], [], { next }) }).onText)).toEqual(next);
    expect(nextOf(syncOf({ effect: effect() }).onText)).toEqual(effect().next);
    expect(nextOf(syncOf({ effect: effect({ row: 3 }) }).onText)).toEqual([]);
  });

  it("is what the patterns in the cells stand for, or why there are none", () => {
    const thumbnails = {
      query: 1,
      row: 0,
      size: 2,
      cells: [],
      values: new DataView(new ArrayBuffer(0)),
      note: "2 x 2",
    };
    const note = (more: object, side: number) => patternsNote(syncOf(more).onText, side);
    expect(note({ thumbnails }, 34)).toBe("2 x 2");
    expect(note({ thumbnails }, 12)).toBe("cells are 12 px, patterns need 28: zoom in");
    expect(note({}, 34)).toBe("running the model…");
    const none = { ...thumbnails, size: 0, note: "" };
    expect(note({ thumbnails: { ...none, pending: true } }, 34)).toBe("running the model…");
    expect(note({ thumbnails: none }, 34)).toBe("running the model…");
    expect(note({ thumbnails: { ...none, note: "too many heads" } }, 34)).toBe("too many heads");
    expect(note({ task_state: task() }, 34)).toContain("type a text");
    expect(note({ live_query: { n: 1, row: 0, panel: true, thumbnails: false } }, 34)).toBe("");
  });
});
