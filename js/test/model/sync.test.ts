import { describe, expect, it } from "vitest";
import { assign, count, has, toText } from "../../src/model/bits";
import { Sync } from "../../src/model/sync";
import { arrow, colors } from "../fixtures";
import { Host } from "../host";
import { members, on, small, specOf } from "../specs";

const cells = small();
const hostOf = (more = {}) => new Host({ spec: specOf(2, 3), cells: on(cells), partial: on(cells), ...more });
const summary = { focus: 3, cell: 4, title: "l0h1", name: "", locations: [], notes: [] };

describe("the state that crosses", () => {
  it("sends a new value each time, and nothing when nothing changed", () => {
    const host = hostOf();
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    const before = host.state.commands;
    expect(sync.select(assign(sync.on, [4], true))).toBe(true);
    expect(host.state.commands).not.toBe(before);
    expect(sync.select(sync.on)).toBe(false);
    expect(host.writes).toEqual(["commands"]);
  });

  it("never answers a change with a write", () => {
    const host = hostOf();
    new Sync(host).follow(new AbortController().signal, () => {});
    host.tell("cells", on(cells, 3));
    host.tell("partial", on(cells, 5));
    host.tell("text", { selection: "l0h0" });
    expect(host.writes).toEqual([]);
  });

  it("lets several views of one model agree", () => {
    const host = hostOf();
    const [one, two] = [new Sync(host), new Sync(host)];
    for (const sync of [one, two]) sync.follow(new AbortController().signal, () => {});
    one.select(on(cells, 4));
    expect(has(two.on, 4)).toBe(true);
  });

  it("shows a cell that is on as on, even while it is still called partial", () => {
    const sync = new Sync(hostOf({ cells: on(cells, 4), partial: on(cells, 4, 5) }));
    expect([has(sync.partial, 4), has(sync.partial, 5)]).toEqual([false, true]);
  });

  it("forgets that an edited cell was partial", () => {
    const host = hostOf({ partial: on(cells, 4, 5) });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    sync.select(on(cells, 4));
    sync.select(on(cells));
    expect([has(sync.partial, 4), has(sync.partial, 5)]).toEqual([false, true]);
    host.tell("history", { done: 2, undo: 2, redo: 0 });
    expect(has(sync.partial, 4)).toBe(true); // as Python says
  });

  it("drops a summary that answers an older question", () => {
    expect(new Sync(hostOf({ focus: { n: 3, cell: 4 }, summary })).summary?.title).toBe("l0h1");
    expect(new Sync(hostOf({ focus: { n: 4, cell: 5 }, summary })).summary).toBeNull();
  });

  it("asks again when the norms are to be taken otherwise, and not when nothing changed", () => {
    const host = hostOf({ focus: { n: 3, cell: 4, ln: "folded" } });
    const sync = new Sync(host);
    sync.inspect(4);
    expect(host.writes).toEqual([]);
    sync.inspect(4, "raw");
    expect(host.state.focus).toEqual({ n: 4, cell: 4, ln: "raw" });
    sync.inspect(5);
    expect(host.state.focus).toEqual({ n: 5, cell: 5, ln: "raw" });
  });

  it("drops colors that answer an older question, and takes those that Python chose", () => {
    const values = Array(cells.count).fill(1);
    const host = hostOf();
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    sync.recolor("copying");
    sync.recolor("norm", "raw");
    expect(host.state.recolor).toEqual({ n: 2, metric: "norm", ln: "raw" });
    host.tell("colors", colors(values, { recolor: 1 }));
    expect(sync.cellValues).toBeNull();
    host.tell("colors", colors(values, { recolor: 2 }));
    expect(sync.cellValues?.label).toBe("copying score");
    sync.recolor("");
    expect(sync.cellValues).toBeNull();
    host.tell("colors", colors(values, { recolor: 3, label: "mine" }));
    expect(sync.cellValues?.label).toBe("mine");
    host.tell("colors", colors(values, { recolor: 1, error: "too old" }));
    expect(sync.colorError).toBe("");
  });

  it("is colored by what was asked for until it is answered, and then by what is shown", () => {
    const values = Array(cells.count).fill(0.5);
    const host = hostOf();
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    expect(sync.metric).toBe("");
    sync.recolor("norm");
    expect(sync.metric).toBe("norm");
    host.tell("colors", colors(values, { recolor: 1, metric: "norm" }));
    expect(sync.metric).toBe("norm");
    // Python takes the colors away, or chooses its own
    host.tell("colors", colors([], { recolor: 1, metric: "", label: "" }));
    expect(sync.metric).toBe("");
    host.tell("colors", colors(values, { recolor: 1, metric: "", label: "mine" }));
    expect(sync.metric).toBe("");
  });

  it("compares no head that was taken out since, and is pending then and for other norms", () => {
    const heads = [3, 4, 8].map((cell) => ({ cell, title: `${cell}`, circuits: [] }));
    const comparison = { heads, n_heads: 3, summed: null, ln: "folded", pending: false };
    const host = hostOf({ selected_heads: comparison, cells: on(cells, 3, 4, 8) });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    expect(sync.selectedHeads).toMatchObject({ heads, pending: false });
    host.tell("focus", { n: 1, cell: 3, ln: "raw" });
    expect(sync.selectedHeads?.pending).toBe(true);
    host.tell("focus", { n: 2, cell: 3, ln: "folded" });
    host.tell("cells", on(cells, 3, 8));
    expect(sync.selectedHeads?.heads.map(({ cell }) => cell)).toEqual([3, 8]);
    expect(sync.selectedHeads?.pending).toBe(true);
    host.tell("selected_heads", { ...comparison, n_heads: 1 });
    expect(sync.selectedHeads).toBeNull();
  });

  it("has no arrow from or to a head that was taken out since", () => {
    const arrows = { arrows: [arrow(3, 8, 5), arrow(4, 8, 4)], baseline: 0.1, note: "" };
    const host = hostOf({ arrows, cells: on(cells, 3, 8) });
    expect(new Sync(host).arrows.arrows).toEqual([arrows.arrows[0]]);
  });

  it("asks for each command once, and keeps in the list those that are not done", () => {
    const host = hostOf({ history: { done: 4, undo: 2, redo: 0 }, commands: [{ n: 4, do: "undo" }] });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    sync.select(on(cells, 3));
    expect(sync.command("undo")).toBe(6);
    expect(sync.command("tint", "induction", "#d55e00")).toBe(7);
    const by = (host.state.commands as { by: string }[])[0]!.by;
    expect(by).not.toBe("");
    expect(host.state.commands).toEqual([
      // base64.b64encode(b"\x08")
      { n: 5, by, do: "edit", name: "", value: "0:CA==", off: "" },
      { n: 6, by, do: "undo", name: "", value: "", off: "" },
      { n: 7, by, do: "tint", name: "induction", value: "#d55e00", off: "" },
    ]);
    host.tell("history", { done: 6, undo: 1, redo: 1 });
    expect(sync.command("redo")).toBe(8);
    expect((host.state.commands as { n: number }[]).map(({ n }) => n)).toEqual([7, 8]);
  });

  it("shows an edit at once, on whatever comes before it is done", () => {
    const host = hostOf({
      cells: on(cells, 3),
      partial: on(cells, 5),
      history: { done: 0, undo: 1, redo: 0 },
    });
    const [one, two] = [new Sync(host), new Sync(host)];
    for (const sync of [one, two]) sync.follow(new AbortController().signal, () => {});
    const shown = (sync: Sync) => [members(cells, sync.on), members(cells, sync.partial)];
    one.command("undo");
    one.select(on(cells, 3, 4));
    expect([one, two].map(shown)).toEqual(Array(2).fill([[3, 4], [5]]));
    two.select(on(cells, 4, 5)); // of 5 a piece was selected
    expect(shown(one)).toEqual([[4, 5], []]);
    expect(host.state.commands).toMatchObject([
      { n: 1, do: "undo" },
      { n: 2, do: "edit", value: toText(on(cells, 4)), off: "" },
      { n: 3, do: "edit", value: toText(on(cells, 5)), off: toText(on(cells, 3)) },
    ]);
    // the undo is done, and Python selected another cell meanwhile
    Object.assign(host.state, { cells: on(cells, 3, 8), history: { done: 1, undo: 0, redo: 1 } });
    host.fire("change:history");
    expect(shown(two)).toEqual([[4, 5, 8], []]);
    Object.assign(host.state, { cells: on(cells, 4, 5), history: { done: 3, undo: 2, redo: 0 } });
    host.fire("change:history");
    expect(shown(two)).toEqual([[4, 5], []]);
  });

  it("selects some cells only, pieces and what a command brings left out", () => {
    const host = hostOf({ cells: on(cells, 3), partial: on(cells, 5) });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    expect(sync.select(on(cells, 3), true)).toBe(true);
    expect(host.state.commands).toMatchObject([{ do: "only", value: toText(on(cells, 3)) }]);
    expect(members(cells, sync.partial)).toEqual([]);
    expect(sync.select(on(cells, 3))).toBe(false);
    expect(sync.select(on(cells, 3), true)).toBe(true); // whatever the other one comes to
    host.state.partial = on(cells);
    host.tell("history", { done: 2, undo: 1, redo: 0 });
    expect(sync.select(on(cells, 3), true)).toBe(false);
    expect(sync.select(on(cells, 4), true)).toBe(true);
    expect(members(cells, sync.on)).toEqual([4]);
  });

  it("numbers on after commands that an older message called done, and after those of another view", () => {
    const host = hostOf({ history: { done: 9, undo: 0, redo: 0 }, commands: [{ n: 3, do: "undo" }] });
    expect(new Sync(host).command("save", "a")).toBe(10);
    expect(new Sync(host).command("save", "b")).toBe(11);
  });

  it("takes from the steps those that are asked for, and knows of an edit before Python does", () => {
    const host = hostOf({ history: { done: 0, undo: 2, redo: 1 } });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    sync.command("undo");
    expect(sync.history).toEqual({ done: 0, undo: 1, redo: 2 });
    sync.command("undo");
    sync.command("undo");
    expect(sync.history).toMatchObject({ undo: 0, redo: 3 });
    host.tell("history", { done: 3, undo: 0, redo: 3 });
    expect(sync.history).toMatchObject({ undo: 0, redo: 3 });
    sync.select(on(cells, 5));
    expect(sync.history).toMatchObject({ undo: 1, redo: 0 });
    host.tell("history", { done: 4, undo: 0, redo: 3 }); // it was refused
    expect(sync.history).toMatchObject({ undo: 0, redo: 3 });
  });

  it("drops completions that answer an older text", () => {
    const host = hostOf();
    const sync = new Sync(host);
    expect([sync.complete("l", 1), sync.complete("l1", 2)]).toEqual([1, 2]);
    expect(host.state.complete).toEqual({ n: 2, text: "l1", at: 2 });
    const answer = { complete: 1, start: 0, end: 1, items: [{ text: "l0", note: "", begun: false }] };
    host.tell("completions", answer);
    expect(sync.completions).toBeNull();
    host.tell("completions", { ...answer, complete: 2 });
    expect(sync.completions?.items[0]?.text).toBe("l0");
  });

  it("finds the precomputed summary of a cell, with the norms that are asked for if it is there", () => {
    const precomputed = (["folded", "raw"] as const).map((ln) => ({ ...summary, ln }));
    const sync = new Sync(hostOf({ precomputed: [...precomputed, { ...summary, cell: 5, ln: "raw" }] }));
    expect([
      sync.precomputed(4, "raw")?.ln,
      sync.precomputed(5, "folded")?.ln,
      sync.precomputed(3, "raw"),
    ]).toEqual(["raw", "raw", null]);
  });

  it("draws what there is when traits are missing", () => {
    const sync = new Sync(new Host({}));
    expect([sync.cells.count, count(sync.on), sync.text.selection, sync.focus.cell]).toEqual([
      0,
      0,
      "none",
      -1,
    ]);
    expect([
      sync.summary,
      sync.selectedHeads,
      sync.cellValues,
      sync.arrows.arrows,
      sync.progress.total,
    ]).toEqual([null, null, null, [], 0]);
    expect([sync.saved, sync.history.undo, sync.completions, sync.precomputed(0, "raw")]).toEqual([
      [],
      0,
      null,
      null,
    ]);
  });

  it("stops to listen when the view closes", () => {
    const host = hostOf();
    const life = new AbortController();
    new Sync(host).follow(life.signal, () => {});
    expect(host.listening).toBe(25);
    life.abort();
    expect(host.listening).toBe(0);
  });
});
