import { describe, expect, it } from "vitest";
import { makeTextView } from "../../src/live/text_view";
import { Sync } from "../../src/model/sync";
import { newView } from "../../src/model/view";
import { task } from "../fixtures";
import { Host } from "../host";
import { on, small, specOf } from "../specs";

const cells = small();
const L0H1 = 4;

function textOf(state: Record<string, unknown> = {}) {
  const host = new Host({
    ...{ spec: specOf(2, 3), cells: on(cells, L0H1), partial: on(cells) },
    ...{ task_state: task({ rows: ["when mary"] }) },
    ...state,
  });
  const sync = new Sync(host);
  const view = newView(sync.cells, "");
  const text = makeTextView(sync, view, () => {}, new AbortController().signal);
  return { ...text, host, view, sync };
}

describe("a view of a text", () => {
  it("begins with what selected heads do on the task that came with it, unless there is none or no kernel", () => {
    const opened = textOf();
    opened.begin();
    expect(opened.host.state.live_query).toMatchObject({ n: 1, panel: true });
    for (const state of [{ task_state: task() }, { cells: on(cells) }]) {
      const other = textOf(state);
      other.begin();
      expect(other.host.writes).toEqual([]);
    }
    const alone = textOf();
    alone.view.live = false;
    alone.begin();
    expect(alone.host.writes).toEqual([]);
  });

  it("asks for a head that is looked at only where that is in sight", () => {
    const { inspect, host, view } = textOf();
    view.inspector.tab = "ov";
    inspect(L0H1);
    expect(host.writes).toEqual(["focus"]);
    view.inspector.tab = "live";
    inspect(L0H1 + 1);
    expect(host.writes).toEqual(["focus", "focus", "live_query"]);
    inspect(0);
    expect(host.state.live_query).toMatchObject({ n: 2, panel: false });
  });

  it("leaves what another view of the widget shows", () => {
    const { opened, host } = textOf();
    opened("live");
    const sync = new Sync(host);
    const ending = new AbortController();
    const other = makeTextView(sync, newView(sync.cells, ""), () => {}, ending.signal);
    other.opened("live");
    other.opened("ov");
    expect(host.state.live_query).toMatchObject({ panel: true });
    opened("ov");
    expect(host.state.live_query).toMatchObject({ panel: false });
    other.opened("live");
    ending.abort();
    opened("live");
    opened("ov");
    expect(host.state.live_query).toMatchObject({ panel: false });
  });

  it("asks for nothing by its tabs without a kernel", () => {
    const { opened, host, view } = textOf();
    view.live = false;
    opened("live");
    expect(host.writes).toEqual([]);
  });
});
