import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readPlan } from "../src/cells";
import widget from "../src/widget";
import { Host } from "./host";
import { on, stacked, text } from "./plans";

const cells = readPlan(stacked());
const life = new AbortController();

const hostOf = (...members: number[]) =>
  new Host({ plan: stacked(), cells: on(cells, ...members), partial: on(cells), text: text() });

function viewOf(host: Host) {
  const el = document.createElement("div");
  document.body.append(el);
  widget.render({ model: host, el, signal: life.signal });
  const tabs = [...el.querySelectorAll<HTMLElement>("[role=tab]")];
  /** A tab as it is seen: "encoder", "decoder 2". */
  const seen = (tab: Element | undefined) => tab?.textContent?.trim();
  return {
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
  const { n } = host.state.query as { n: number };
  if (!error) host.tell("cells", on(cells, ...members));
  host.tell("text", { ...text({ query: n, counts: `${members.length} heads` }), error });
}

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
