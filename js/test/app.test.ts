import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fromWire } from "../src/bits";
import { readPlan } from "../src/cells";
import widget from "../src/widget";
import { colours } from "./fixtures";
import { Host } from "./host";
import { members, on, stacked, text } from "./plans";

const cells = readPlan(stacked());
const life = new AbortController();

const hostOf = (...members: number[]) =>
  new Host({ plan: stacked(), cells: on(cells, ...members), partial: on(cells), text: text() });

function viewOf(host: Host, signal = life.signal) {
  const el = document.createElement("div");
  document.body.append(el);
  widget.render({ model: host, el, signal });
  const tabs = [...el.querySelectorAll<HTMLElement>("[role=tab]")];
  /** A tab as it is seen: "encoder", "decoder 2". */
  const seen = (tab: Element | undefined) => tab?.textContent?.trim();
  const button = (name: string) =>
    [...el.querySelectorAll("button")].find(
      (node) => (node.getAttribute("aria-label") ?? node.textContent) === name,
    )!;
  return {
    el,
    button,
    key: (key: string, more = {}) =>
      el
        .querySelector("[role=grid]")!
        .dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more })),
    tabs,
    seen,
    shown: () => seen(tabs.find((tab) => tab.ariaSelected === "true")),
    said: () => el.querySelector(".hg-live")!.textContent,
    query: (value: string) => {
      const input = el.querySelector("input")!;
      input.value = value;
      input.dispatchEvent(new Event("input"));
      input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
    },
  };
}

/** Python's answer to the last query. */
function answer(host: Host, members: number[], error: object | null = null): void {
  const [{ n }] = (host.state.deeds as { n: number }[]).slice(-1) as [{ n: number }];
  if (!error) host.tell("cells", on(cells, ...members));
  host.tell("history", { done: n, undo: 1, redo: 0 });
  host.tell("text", { ...text({ query: n, counts: `${members.length} heads` }), error });
}

/** Python's answer to the last deed. */
function settle(host: Host, members: number[], steps: { undo: number; redo: number }): void {
  const [deed] = (host.state.deeds as { n: number }[]).slice(-1);
  host.tell("cells", on(cells, ...members));
  host.tell("text", text({ selection: members.join(" | "), counts: `${members.length} heads` }));
  host.tell("history", { done: deed?.n, ...steps });
}

const isOff = (node: Element) => node.getAttribute("aria-disabled") === "true";

describe("a view", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const historied = (...members: number[]) => {
    const host = hostOf(...members);
    host.state.history = { done: 0, undo: 2, redo: 0 };
    return host;
  };

  it("asks for a step back once for each press, says it when it is done, and keeps the focus", () => {
    const host = historied(1, 2);
    const one = viewOf(host);
    one.button("Undo").focus();
    one.button("Undo").click();
    one.button("Undo").click();
    one.button("Undo").click();
    expect((host.state.deeds as object[]).map(({ do: what }: { do?: string }) => what)).toEqual([
      "undo",
      "undo",
    ]);
    expect([isOff(one.button("Undo")), isOff(one.button("Redo"))]).toEqual([true, false]);
    expect(document.activeElement).toBe(one.button("Undo"));
    vi.advanceTimersByTime(5000);
    expect(one.said()).toBe("");
    settle(host, [1], { undo: 0, redo: 2 });
    vi.runAllTimers();
    expect(one.said()).toBe("undone; 1 heads");
  });

  it("has a button that is off where there is nothing to redo, and that tells why", () => {
    const host = historied();
    const one = viewOf(host);
    one.button("Redo").click();
    expect(host.writes).toEqual([]);
    host.tell("history", { done: 0, undo: 0, redo: 0 });
    expect(one.button("Redo").title).toBe("Redo (Ctrl+Shift+Z): nothing was undone");
  });

  it("says what Python selected, in one of the views only", () => {
    const host = hostOf(1);
    const [one, two] = [viewOf(host), viewOf(host)];
    host.tell("cells", on(cells, 1, 2, 7));
    host.tell("text", text({ selection: "three", counts: "3 heads" }));
    expect([one.said(), two.said()].filter(Boolean)).toEqual(["selection changed; 3 heads"]);
  });

  it("agrees with another view that is used at the same time", () => {
    const host = hostOf(1);
    const [one, two] = [viewOf(host), viewOf(host)];
    one.button("Invert").click();
    two.button("Invert").click();
    expect(members(cells, fromWire(host.state.cells, cells.count))).toEqual([1]);
    expect(new Set([one.el, two.el].map((el) => el.querySelector(".hg-count")?.textContent))).toEqual(
      new Set(["1"]),
    );
  });

  it("lets nothing be changed without a kernel, and says so", () => {
    const host = historied(1);
    const one = viewOf(host);
    host.fire("comm:close");
    expect(one.el.querySelector(".hg-notice")!.textContent).toBe("No kernel: this is the last state");
    for (const name of ["Undo", "Clear", "All", "Invert", "? Help"]) {
      expect([name, isOff(one.button(name))]).toEqual([name, true]);
      expect(one.button(name).title).toContain("there is no kernel");
      one.button(name).click();
    }
    expect(one.el.querySelector("input")!.readOnly).toBe(true);
    expect(host.writes).toEqual([]);
  });

  it("asks for the second module when it is first used, once", () => {
    const host = hostOf(1);
    const one = viewOf(host);
    expect(host.writes).toEqual([]);
    for (const event of ["pointerenter", "focusin", "pointerenter"])
      one.el.querySelector(".headgrid")!.dispatchEvent(new Event(event));
    expect(host.writes).toEqual(["focus"]);
    expect(host.state.focus).toEqual({ n: 1, cell: -1, ln: "folded" });
  });

  it("keeps room for the legend as soon as there are colours", () => {
    const host = hostOf(1);
    const room = (el: Element) => !el.querySelector<HTMLElement>(".hg-legend")!.hidden;
    const one = viewOf(host);
    expect(room(one.el)).toBe(false);
    host.tell("colours", colours(Array(cells.count).fill(0.5)));
    expect([room(one.el), room(viewOf(host).el)]).toEqual([true, true]);
    host.tell("colours", colours([], { values: new DataView(new ArrayBuffer(0)), label: "" }));
    expect(room(one.el)).toBe(false);
  });

  it("shares no id with another one, and leaves nothing behind", () => {
    const host = hostOf(1);
    const closing = new AbortController();
    const [one, two] = [viewOf(host, closing.signal), viewOf(host, closing.signal)];
    const ids = [one, two].flatMap(({ el }) => [...el.querySelectorAll("[id]")].map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(4);
    expect(new Set(ids).size).toBe(ids.length);
    closing.abort();
    expect([host.listening, one.el.childElementCount]).toEqual([0, 0]);
  });
});

describe("a view of a model with two stacks", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("shows first where the selection is", () => {
    expect(viewOf(hostOf()).shown()).toBe("encoder");
    expect(viewOf(hostOf(7)).shown()).toBe("decoder 1");
  });

  it("switches by itself, not for another view, and says so", () => {
    const host = hostOf(2);
    const [one, two] = [viewOf(host), viewOf(host)];
    one.tabs[1]!.click();
    expect([one.shown(), two.shown()]).toEqual(["decoder", "encoder 1"]);
    expect(host.writes).toEqual([]);
    vi.runAllTimers();
    expect([one.said(), two.said()]).toEqual(["decoder is shown, nothing selected", ""]);
  });

  it("follows a query that selects only what is hidden, in the view that sent it", () => {
    const host = hostOf(1);
    const [one, two] = [viewOf(host), viewOf(host)];
    one.query("dec l0");
    answer(host, [6, 7]);
    expect([one.shown(), two.shown()]).toEqual(["decoder 2", "encoder"]);
    expect(two.seen(two.tabs[1])).toBe("decoder 2");
    expect(one.said()).toBe("decoder is shown, 2 cells selected; 2 heads");
  });

  it("stays where a query selects something in sight, and where one is refused", () => {
    const host = hostOf(1);
    const one = viewOf(host);
    one.query("enc l0h1 | dec l0");
    answer(host, [2, 6, 7]);
    expect(one.shown()).toBe("encoder 1");
    host.tell("cells", on(cells, 6));
    one.query("nonsense");
    answer(host, [], { message: "no such part", start: 0, end: 8 });
    expect(one.shown()).toBe("encoder");
  });

  it("stays when Python selects what is hidden, and counts it", () => {
    const host = hostOf(1);
    const one = viewOf(host);
    host.tell("cells", on(cells, 8));
    host.tell("text", text({ selection: "dec l1h0" }));
    expect(one.shown()).toBe("encoder");
    expect(one.seen(one.tabs[1])).toBe("decoder 1");
  });
});
