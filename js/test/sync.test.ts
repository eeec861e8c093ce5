import { describe, expect, it } from "vitest";
import { assign, count, has } from "../src/bits";
import { Sync } from "../src/sync";
import { Host } from "./host";
import { on, planOf, small } from "./plans";

const cells = small();
const hostOf = (more = {}) => new Host({ plan: planOf(2, 3), cells: on(cells), partial: on(cells), ...more });
const summary = { focus: 3, cell: 4, title: "l0h1", name: "", places: [], notes: [] };

describe("the state that crosses", () => {
  it("sends a new value each time, and nothing when nothing changed", () => {
    const host = hostOf();
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    const before = host.state.cells;
    expect(sync.select(assign(sync.on, [4], true))).toBe(true);
    expect(host.state.cells).not.toBe(before);
    expect(sync.select(sync.on)).toBe(false);
    expect(host.writes).toEqual(["cells"]);
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

  it("forgets that an edited cell was partial, until Python speaks", () => {
    const host = hostOf({ partial: on(cells, 4, 5) });
    const sync = new Sync(host);
    sync.follow(new AbortController().signal, () => {});
    sync.select(on(cells, 4));
    sync.select(on(cells));
    expect([has(sync.partial, 4), has(sync.partial, 5)]).toEqual([false, true]);
    host.tell("partial", on(cells, 4));
    expect(has(sync.partial, 4)).toBe(true);
  });

  it("drops a summary that answers an older question", () => {
    expect(new Sync(hostOf({ focus: { n: 3, cell: 4 }, summary })).summary?.title).toBe("l0h1");
    expect(new Sync(hostOf({ focus: { n: 4, cell: 5 }, summary })).summary).toBeNull();
  });

  it("draws what there is when traits are missing", () => {
    const sync = new Sync(new Host({}));
    expect([sync.cells.count, count(sync.on), sync.text.selection, sync.focus.cell]).toEqual([
      0,
      0,
      "none",
      -1,
    ]);
  });

  it("stops to listen when the view closes", () => {
    const host = hostOf();
    const life = new AbortController();
    new Sync(host).follow(life.signal, () => {});
    expect(host.listening).toBe(7);
    life.abort();
    expect(host.listening).toBe(0);
  });
});
