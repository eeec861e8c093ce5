import { beforeEach, describe, expect, it } from "vitest";
import { toWire } from "../../dev/bytes";
import { PageModel } from "../../src/export/page_model";
import { siblingsOf } from "../../src/model/page_selection";
import { Sync } from "../../src/model/sync";
import type { LiveView, SelectionEffect, Summary } from "../../src/model/wire";
import { colors, effect, head, liveView, summary, task } from "../fixtures";
import { grouped } from "../handled";
import { members, on, small, specOf, text } from "../specs";

// Cells 0-1 are the embeddings, 2-6 layer 0 with its heads at 3-5, 7-11 layer 1 with its heads at 8-10.
const cells = small();
const values = Array.from({ length: 13 }, (_, n) => n / 10);
const spec = {
  ...specOf(2, 3),
  metrics: ["copying", "norm"].map((name) => ({ name, label: name, help: "", live: false })),
};
const pattern = [[1], [0.5, 0.5]];

function stateOf(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    spec,
    cells: toWire(on(cells, 3, 9)),
    partial: toWire(on(cells, 5)),
    text: text({ selection: "l0h0 | l1h1 | l0h2.q", counts: "2 heads, parts of 1 head", n_selected: 7 }),
    history: { done: 4, undo: 3, redo: 0 },
    focus: { n: 2, cell: 3, ln: "folded" },
    recolor: { n: 1, metric: "copying", ln: "folded" },
    colors: colors(values, { recolor: 1 }),
    precomputed: [summary({ cell: 3 }), summary({ cell: 9, title: "l1h1" }), summary({ cell: 3, ln: "raw" })],
    precomputed_live: [
      liveView(
        ["a", " b"],
        [3, 4, 8, 9].map((cell) => head(cell, `c${cell}`, pattern)),
        { row: 0 },
      ),
    ],
    precomputed_colors: [
      colors(values),
      colors(
        values.map((v) => -v),
        { metric: "norm", label: "norm" },
      ),
    ],
    task_state: task({ rows: ["a b"] }),
    effect: effect({ text: "l0h0 | l1h1 | l0h2.q" }),
    saved: { items: [] },
    selected_heads: { heads: [], n_heads: 2, summed: null, ln: "folded", pending: false },
    live_query: { n: 3, row: 0, panel: true, thumbnails: false },
    ...more,
  };
}

describe("a page without a kernel", () => {
  let sync: Sync;
  let model: PageModel;
  const begin = (more: Record<string, unknown> = {}) => {
    model = new PageModel(stateOf(more));
    sync = new Sync(model);
    sync.follow(new AbortController().signal, () => {});
  };
  beforeEach(() => begin());
  const seen = () => [sync.text.selection, members(cells, sync.on), members(cells, sync.partial)];
  const toggle = (...numbers: number[]) =>
    sync.select(sync.on.map((byte, k) => byte ^ on(cells, ...numbers)[k]!));

  it("begins as Python left it", () => {
    expect(seen()).toEqual(["l0h0 | l1h1 | l0h2.q", [3, 9], [5]]);
    expect([sync.isPage, sync.history]).toEqual([true, { done: 4, undo: 0, redo: 0 }]);
  });

  it("switches cells on and off, keeps finer choices elsewhere, and counts", () => {
    toggle(8);
    expect(seen()).toEqual(["l0h0 | l1h0 | l1h1 | l0h2.q", [3, 8, 9], [5]]);
    expect(sync.text.counts).toBe("3 heads, parts of 1 head");
    toggle(5);
    expect(seen()).toEqual(["l0h0 | l0h2 | l1h0 | l1h1", [3, 5, 8, 9], []]);
    sync.select(on(cells), true);
    expect(seen()).toEqual(["none", [], []]);
    expect(sync.text.counts).toBe("nothing is selected");
  });

  it("goes back and forth, to what Python left too, with its words", () => {
    toggle(8);
    toggle(9);
    sync.command("undo");
    sync.command("undo");
    expect(seen()).toEqual(["l0h0 | l1h1 | l0h2.q", [3, 9], [5]]);
    expect([sync.text.n_selected, sync.history.undo, sync.history.redo]).toEqual([7, 0, 2]);
    sync.command("redo");
    expect(sync.text.selection).toBe("l0h0 | l1h0 | l1h1 | l0h2.q");
  });

  it("reads words, and says of others that Python is needed, once for the query that asked", () => {
    const asked = sync.command("query", "", "l0h* - l0h1");
    expect([...seen(), sync.text.query, sync.text.error]).toEqual(["l0h0 | l0h2", [3, 5], [], asked, null]);
    const refused = sync.command("query", "", "~l0");
    expect([sync.text.query, sync.text.error!.message]).toEqual([
      refused,
      expect.stringContaining("no Python"),
    ]);
    expect(members(cells, sync.on)).toEqual([3, 5]);
    sync.command("query", "", "l0h0 | l1h1 | l0h2.q");
    expect(seen()[2]).toEqual([5]);
  });

  it("shows the effect only while the selection is the one that it is of", () => {
    const shown = () => (model.get("effect") as SelectionEffect).text;
    expect(shown()).toBe("l0h0 | l1h1 | l0h2.q");
    toggle(8);
    expect([shown(), sync.onText.effect.modes]).toEqual(["none", []]);
    sync.command("undo");
    expect(shown()).toBe("l0h0 | l1h1 | l0h2.q");
  });

  it("describes a cell that it kept, with the norms that it has, and says so of one that it did not", () => {
    sync.inspect(9, "raw");
    expect([sync.summary?.title, sync.focus.ln]).toEqual(["l1h1", "folded"]);
    sync.inspect(4);
    const { title, name, notes } = model.get("summary") as Summary;
    expect([title, name, notes[0]]).toEqual([
      "l0h1",
      "layer 0 head 1",
      expect.stringContaining("were not read"),
    ]);
  });

  it("shows the pattern of the head that is looked at, then those of the selected ones", () => {
    const heads = () => (model.get("live") as LiveView).heads.map(({ title }) => title);
    expect(heads()).toEqual(["c3", "c9"]);
    sync.inspect(8);
    expect(heads()).toEqual(["c8", "c3", "c9"]);
    expect(sync.onText.view?.focus).toBe(sync.focus.n);
    sync.onText.ask({ row: 5 });
    expect(sync.onText.view?.error).toContain("row 1 of the task alone");
  });

  it("shows the patterns of all heads in the cells", () => {
    sync.onText.ask({ thumbnails: true });
    const { size, cells: shown, values: bytes } = sync.onText.thumbnails!;
    expect([size, shown, bytes.byteLength]).toEqual([2, [3, 4, 8, 9], 16]);
    expect(bytes.getUint8(0)).toBe(255);
  });

  it("colors cells by what it has, and by nothing", () => {
    sync.recolor("norm");
    expect([sync.metric, sync.cellValues!.values[4]]).toEqual(["norm", expect.closeTo(-0.4)]);
    sync.recolor("");
    expect(sync.cellValues).toBeNull();
    begin({ precomputed_colors: [] });
    expect(sync.cells.metrics.map(({ name }) => name)).toEqual(["copying"]);
    begin({ precomputed_colors: undefined, colors: {} });
    expect(sync.cells.metrics).toEqual([]);
  });

  it("has a row for each selected head, and their circuits where it kept all of them", () => {
    expect(sync.headRows!.cells).toEqual([3, 9]);
    expect([...sync.headRows!.values]).toEqual([0.3, -0.3, 0.9, -0.9].map((v) => expect.closeTo(v)));
    expect(sync.selectedHeads!.heads.map(({ title }) => title)).toEqual(["l0h1", "l1h1"]);
    toggle(8);
    expect([sync.headRows!.cells, sync.selectedHeads]).toEqual([[3, 8, 9], null]);
  });

  it("saves selections, and recalls its own and Python's", () => {
    const theirs = {
      name: "old",
      text: "l0-1h1",
      counts: "2 heads",
      color: "#000",
      cells: toWire(on(cells, 4, 9)),
    };
    const finer = { ...theirs, name: "fine", text: "~l0h1.q", counts: "parts of 1 head" };
    begin({ saved: { items: [theirs, finer] } });
    sync.command("save", "mine");
    expect(sync.saved.map(({ name, text: said }) => `${name} ${said}`).at(-1)).toBe(
      "mine l0h0 | l1h1 | l0h2.q",
    );
    sync.command("recall", "old");
    expect(members(cells, sync.on)).toEqual([4, 9]);
    sync.command("recall", "mine");
    expect(seen()).toEqual(["l0h0 | l1h1 | l0h2.q", [3, 9], [5]]);
    const n = sync.command("recall", "fine");
    expect([sync.text.query, sync.text.error!.message]).toEqual([n, expect.stringContaining("only Python")]);
    sync.command("tint", "mine", "#123456");
    sync.command("remove", "old");
    expect(sync.saved.map(({ name, color }) => name + color)).toEqual(["fine#000", "mine#123456"]);
  });

  it("does a command once, however often it is sent", () => {
    const n = sync.command("only", "", "0:CA==");
    model.set("commands", [{ n, by: "me", do: "undo", name: "", value: "", off: "" }]);
    model.save_changes();
    expect(members(cells, sync.on)).toEqual([3]);
  });

  it("takes what it does not understand of the text along, less what is switched off", () => {
    begin({ text: text({ selection: "~(l0h1 | l0h2.k)" }) });
    toggle(9);
    expect(sync.text.selection).toBe("l0h0 | (~(l0h1 | l0h2.k)) - l1h1");
  });
});

describe("heads that share a key/value head", () => {
  it("are recalled as they were saved, and not with those that their keys and values serve too", () => {
    const shared = grouped();
    const saved = (name: string, said: string) => ({
      ...{ name, text: said, counts: "1 head; its K and V also serve heads 1, 2", color: "#000" },
      cells: toWire(on(shared, 3, 4, 5)),
    });
    const model = new PageModel({
      ...stateOf({ spec: specOf(2, 6, 3), cells: toWire(on(shared)), partial: toWire(on(shared)) }),
      ...{
        text: text({ selection: "none" }),
        saved: { items: [saved("one", "l0h0"), saved("rich", "l0h0 & l0")] },
      },
    });
    const sync = new Sync(model);
    sync.follow(new AbortController().signal, () => {});
    sync.command("recall", "one");
    expect([members(shared, sync.on), sync.text.selection]).toEqual([[3], "l0h0"]);
    sync.command("recall", "rich");
    expect(sync.text.error!.message).toContain("only Python");
    expect(members(shared, sync.on)).toEqual([3]);
  });

  it("are selected in part with one of them, as in Python", () => {
    const shared = grouped();
    expect(members(shared, siblingsOf(shared, on(shared, 3)))).toEqual([4, 5]);
  });
});
