import { describe, expect, it } from "vitest";
import { Sync } from "../../src/model/sync";
import { liveView, task } from "../fixtures";
import { Host } from "../host";
import { specOf } from "../specs";

function onTextOf(state: Record<string, unknown> = {}) {
  const host = new Host({ spec: specOf(2, 3), ...state });
  return { host, onText: new Sync(host).onText };
}

describe("what heads do on a text", () => {
  it("is nothing where Python sends none of it", () => {
    const { onText } = onTextOf();
    expect([onText.task.available, onText.isReading, onText.thumbnails, onText.effect.text]).toEqual([
      ...[false, false, null, "none"],
    ]);
    expect(onText.view).toBeNull();
  });

  it("is asked for with a number that counts up, and only where the question is another one", () => {
    const { host, onText } = onTextOf();
    onText.ask({ panel: true });
    onText.ask({ panel: true });
    onText.ask({ row: 3 });
    expect(host.writes).toEqual(["live_query", "live_query"]);
    expect(host.state.live_query).toEqual({ n: 2, row: 3, panel: true, thumbnails: false });
  });

  it("is about the last row of a task that has fewer than the one before", () => {
    const { host, onText } = onTextOf({ task_state: task({ rows: ["the dog", "the cat"] }) });
    onText.ask({ row: 1 });
    expect(onText.query.row).toBe(1);
    host.tell("task_state", task({ rows: ["a kitten"] }));
    expect(onText.query.row).toBe(0);
  });

  it("is dropped where it answers an older question", () => {
    const { host, onText } = onTextOf({ live: liveView(["a"], [], { query: 1 }) });
    onText.ask({ panel: true });
    expect(onText.view?.tokens).toEqual(["a"]);
    onText.ask({ row: 1 });
    expect(onText.view).toBeNull();
    host.tell("live", liveView(["b"], [], { query: 2, row: 1 }));
    expect(onText.view?.tokens).toEqual(["b"]);
  });

  it("keeps the thumbnails of a row while another question is about the panel, and drops those of another row", () => {
    const thumbnails = {
      query: 1,
      row: 0,
      size: 1,
      cells: [],
      values: new DataView(new ArrayBuffer(0)),
      note: "",
    };
    const { onText } = onTextOf({ thumbnails, task_state: task({ rows: ["the dog", "the cat"] }) });
    onText.ask({ thumbnails: true });
    onText.ask({ panel: true });
    expect(onText.thumbnails?.size).toBe(1);
    onText.ask({ row: 1 });
    expect(onText.thumbnails).toBeNull();
    onText.ask({ row: 0 });
    onText.ask({ thumbnails: false });
    expect(onText.thumbnails).toBeNull();
  });

  it("waits for the answer to a text that was sent, whose number is above all that were answered", () => {
    const { host, onText } = onTextOf({ task_state: task({ prompt: 4 }) });
    expect(onText.send("when mary", "")).toBe(5);
    expect([onText.isReading, host.state.prompt]).toEqual([true, { n: 5, text: "when mary", contrast: "" }]);
    host.tell("task_state", task({ prompt: 5 }));
    expect(onText.isReading).toBe(false);
  });
});
