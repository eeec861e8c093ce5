import { describe, expect, it } from "vitest";
import type { Cells, Position } from "../../src/model/cells";
import { Editor } from "../../src/model/editor";
import { Sync } from "../../src/model/sync";
import { newView } from "../../src/model/view";
import type { Command } from "../../src/model/wire";
import { handled } from "../handled";
import { Host, orders } from "../host";
import { members, on, text } from "../specs";

/** Two layers of 2 heads, a norm, a handle for the rest, 3 experts and the rest. */
function editorOf(selected: number[] = [], partly: number[] = []) {
  const spec = { bands: [handled()] };
  const size = { count: 14 } as Cells;
  const host = new Host({ spec, cells: on(size, ...selected), partial: on(size, ...partly), text: text() });
  const sync = new Sync(host);
  const view = newView(sync.cells, "");
  const said: string[] = [];
  const editor = new Editor(sync, view, (sentence) => said.push(sentence));
  // As a view does it: once, when all of a message is there.
  sync.follow(new AbortController().signal, () => queueMicrotask(() => editor.cellsChanged()));
  return { host, view, editor, said, seen: () => members(sync.cells, sync.on) };
}
/** The task that runs is over. */
const ended = () => Promise.resolve();
const at = (row: number, column: number): Position => ({ band: 0, row, column });

describe("an edit", () => {
  it("extends from cells only: what was switched by a handle or a header is no corner of a block", async () => {
    const { editor, seen } = editorOf();
    editor.toggle(at(0, -2));
    await ended();
    expect(seen()).toEqual([3, 4, 5, 6]);
    editor.extend(at(1, 4));
    await ended();
    expect(seen()).toEqual([3, 4, 5, 6, 11]);
    editor.toggle(at(-1, 1));
    await ended();
    editor.extend(at(1, 2));
    expect(seen()).toEqual([1, 3, 4, 5, 6, 8, 9, 11]);
  });

  it("shrinks and grows a block around its anchor, and leaves it alone once another one is begun", async () => {
    const { editor, seen } = editorOf();
    editor.toggle(at(0, 0));
    await ended();
    editor.extend(at(1, 1));
    await ended();
    expect(seen()).toEqual([0, 1, 7, 8]);
    editor.extend(at(0, 1));
    await ended();
    expect(seen()).toEqual([0, 1]);
    // A press with Alt on a cell that is off changes nothing, and is a new corner all the same.
    editor.startBrush(at(1, 5), true);
    editor.extend(at(1, 6));
    expect(seen()).toEqual([0, 1, 12, 13]);
  });

  for (const order of orders(["cells", "history", "text"] as const))
    it(`can shrink a block that Python has taken over since: ${order} came one by one`, async () => {
      const { host, editor, seen } = editorOf();
      editor.extend(at(0, 0));
      await ended();
      editor.extend(at(1, 1));
      await ended();
      const size = { count: 14 } as Cells;
      const answer = {
        cells: on(size, 0, 1, 7, 8),
        history: { done: (host.state.commands as Command[]).at(-1)!.n, undo: 2, redo: 0 },
        text: text({ selection: "a block" }),
      };
      for (const trait of order) host.tell(trait, answer[trait]);
      await ended();
      editor.extend(at(0, 1));
      expect(seen()).toEqual([0, 1]);
    });

  it("keeps all of a block that somebody else has changed", async () => {
    const { host, editor, seen } = editorOf();
    editor.extend(at(0, 0));
    await ended();
    editor.extend(at(1, 1));
    await ended();
    const done = (host.state.commands as Command[]).at(-1)!.n;
    host.send({ cells: on({ count: 14 } as Cells, 0, 1, 7, 8, 13), history: { done, undo: 3, redo: 0 } });
    await ended();
    editor.extend(at(0, 1));
    expect(seen()).toEqual([0, 1, 7, 8, 13]);
  });

  it("says that pieces of cells were cleared, which changes no bit", () => {
    const { editor, host, said, seen } = editorOf([], [4]);
    editor.clear();
    expect([seen(), said]).toEqual([[], ["selection cleared"]]);
    expect(host.state.commands).toMatchObject([{ do: "only", value: "" }]);
  });

  it("says nothing where there was nothing to clear", () => {
    const { editor, host, said } = editorOf();
    editor.clear();
    expect([said, host.writes]).toEqual([[], []]);
  });
});
