import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fromWire } from "../src/model/bits";
import { readSpec } from "../src/model/cells";
import { type Command, type GridSpec, VERSION } from "../src/model/wire";
import widget from "../src/widget";
import { arrow, colors, head, liveView, summary, task } from "./fixtures";
import { Host, orders } from "./host";
import { members, on, small, specOf, stacked, text } from "./specs";

const cells = readSpec(stacked());
const life = new AbortController();

const hostOf = (...members: number[]) =>
  new Host({ spec: stacked(), cells: on(cells, ...members), partial: on(cells), text: text() });

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

const commandsOf = (host: Host) => (host.state.commands ?? []) as Command[];

/** What Python answers to the last query. */
function answerTo(host: Host, members: number[], error: object | null = null) {
  const { n } = commandsOf(host).at(-1)!;
  return {
    ...(error ? {} : { cells: on(cells, ...members) }),
    history: { done: n, undo: 1, redo: 0 },
    text: { ...text({ query: n, counts: `${members.length} heads` }), error },
  };
}

/** What Python answers to the last command. */
function settled(host: Host, members: number[], steps: { undo: number; redo: number }) {
  return {
    cells: on(cells, ...members),
    text: text({ selection: members.join(" | "), counts: `${members.length} heads` }),
    history: { done: commandsOf(host).at(-1)?.n ?? 0, ...steps },
  };
}

/** What has changed is shown, which the end of the running task does. */
const shown = () => Promise.resolve();

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

  it("asks for a step back once for each press, says it when it is done, and keeps the focus", async () => {
    const host = historied(1, 2);
    const one = viewOf(host);
    one.button("Undo").focus();
    for (let presses = 0; presses < 3; presses++) {
      one.button("Undo").click();
      await shown();
    }
    expect(commandsOf(host).map(({ do: what }) => what)).toEqual(["undo", "undo"]);
    expect([isOff(one.button("Undo")), isOff(one.button("Redo"))]).toEqual([true, false]);
    expect(document.activeElement).toBe(one.button("Undo"));
    vi.advanceTimersByTime(5000);
    expect(one.said()).toBe("");
    host.send(settled(host, [1], { undo: 0, redo: 2 }));
    await shown();
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

  it("says what Python selected, in one of the views only", async () => {
    const host = hostOf(1);
    const [one, two] = [viewOf(host), viewOf(host)];
    host.send({ cells: on(cells, 1, 2, 7), text: text({ selection: "three", counts: "3 heads" }) });
    await shown();
    expect([one.said(), two.said()].filter(Boolean)).toEqual(["selection changed; 3 heads"]);
  });

  it("agrees with another view that is used at the same time", async () => {
    const host = hostOf(1);
    const [one, two] = [viewOf(host), viewOf(host)];
    one.button("Invert").click();
    two.button("Invert").click();
    await shown();
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
    for (const name of ["Undo", "Clear", "All", "Invert"]) {
      expect([name, isOff(one.button(name))]).toEqual([name, true]);
      expect(one.button(name).title).toContain("there is no kernel");
      one.button(name).click();
    }
    expect(one.el.querySelector("input")!.readOnly).toBe(true);
    one.button("? Help").click();
    expect(one.el.querySelector<HTMLElement>("[role=dialog]")!.hidden).toBe(false);
    expect(host.writes).toEqual([]);
  });

  it("says that it was saved with another version, where nothing answers", () => {
    const host = historied(1);
    host.state.spec = { ...(host.state.spec as GridSpec), version: VERSION - 1 };
    const one = viewOf(host);
    const notice = () => one.el.querySelector(".hg-notice")!.textContent;
    expect(notice()).toContain("Reload the page");
    host.fire("comm:close");
    expect(notice()).toBe(
      "No kernel, and this was saved with another version of headgrid: run its cell again",
    );
  });

  it("keeps room for the legend as soon as there are colors", async () => {
    const host = hostOf(1);
    const room = (el: Element) => !el.querySelector<HTMLElement>(".hg-legend")!.hidden;
    const one = viewOf(host);
    expect(room(one.el)).toBe(false);
    host.tell("colors", colors(Array(cells.count).fill(0.5)));
    await shown();
    expect([room(one.el), room(viewOf(host).el)]).toEqual([true, true]);
    host.tell("colors", colors([], { values: new DataView(new ArrayBuffer(0)), label: "" }));
    await shown();
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

  for (const together of [true, false])
    for (const order of orders(["cells", "history", "text"] as const))
      it(`follows a query that selects only what is hidden, in the view that sent it: ${order} ${together ? "at once" : "one by one"}`, async () => {
        const host = hostOf(1);
        const [one, two] = [viewOf(host), viewOf(host)];
        one.query("dec l0");
        await shown();
        const answer = answerTo(host, [6, 7]);
        const told = Object.fromEntries(order.map((trait) => [trait, answer[trait]]));
        if (together) host.send(told);
        else for (const [trait, value] of Object.entries(told)) host.tell(trait, value);
        await shown();
        expect([one.shown(), two.shown()]).toEqual(["decoder 2", "encoder"]);
        expect(two.seen(two.tabs[1])).toBe("decoder 2");
        expect(one.said()).toBe("decoder is shown, 2 cells selected; 2 heads");
      });

  it("stays where a query selects something in sight, and where one is refused", async () => {
    const host = hostOf(1);
    const one = viewOf(host);
    one.query("enc l0h1 | dec l0");
    host.send(answerTo(host, [2, 6, 7]));
    await shown();
    expect(one.shown()).toBe("encoder 1");
    host.tell("cells", on(cells, 6));
    one.query("nonsense");
    host.send(answerTo(host, [], { message: "no such part", start: 0, end: 8 }));
    await shown();
    expect(one.shown()).toBe("encoder");
  });

  it("stays where it is when cells come to write nothing", async () => {
    const host = hostOf(1);
    const one = viewOf(host);
    one.tabs[1]!.click();
    const spec = host.state.spec as GridSpec;
    host.tell("spec", { ...spec, zero: on(cells, 6) });
    await shown();
    expect(one.shown()).toBe("decoder");
  });

  it("stays when Python selects what is hidden, and counts it", async () => {
    const host = hostOf(1);
    const one = viewOf(host);
    host.send({ cells: on(cells, 8), text: text({ selection: "dec l1h0" }) });
    await shown();
    expect(one.shown()).toBe("encoder");
    expect(one.seen(one.tabs[1])).toBe("decoder 1");
  });
});

describe("what stands around the grid", () => {
  const cells = small();
  const [L0_LN1, L0H0, L0H1, L1H1] = [2, 3, 4, 9];

  function pieces() {
    const host = new Host({
      spec: specOf(2, 3),
      cells: on(cells, L0H0, L0H1, L1H1),
      partial: on(cells),
      text: text({ selection: "l0h0 | l0h1 | l1h1" }),
      saved: {
        items: [{ name: "mine", text: "l0 ln1", counts: "", color: "#d55e00", cells: on(cells, L0_LN1) }],
      },
      arrows: { arrows: [arrow(L0H0, L1H1, 5), arrow(L0H1, L1H1, 2)], baseline: 0, fence: null, note: "" },
    });
    document.body.replaceChildren();
    const { el, button } = viewOf(host);
    const find = (selector: string) => el.querySelector<HTMLElement>(selector)!;
    const tell = async (trait: string, value: unknown) => {
      host.tell(trait, value);
      await shown();
    };
    return { host, button, find, tell, labeled: (label: string) => find(`[aria-label='${label}']`) };
  }

  it("opens the help, over the panel, and gives the focus to the grid when it goes", () => {
    const { button, find } = pieces();
    button("? Help").click();
    const help = find("[role=dialog]");
    // Over the panel, and over no cell.
    expect([help.hidden, help.parentElement?.className]).toEqual([false, "hg-aside"]);
    expect(document.activeElement).toBe(help);
    help.dispatchEvent(new KeyboardEvent("keydown", { key: "?", cancelable: true }));
    expect([help.hidden, document.activeElement]).toEqual([true, find("[role=grid]")]);
  });

  it("gives the focus back to the button that opened the help, and shows on it that it is open", () => {
    const { labeled } = pieces();
    const opener = labeled("? Help");
    opener.focus();
    opener.click();
    expect(opener.getAttribute("aria-expanded")).toBe("true");
    labeled("Close the help").click();
    expect([document.activeElement, opener.getAttribute("aria-expanded")]).toEqual([opener, "false"]);
  });

  it("leaves the focus where it has gone since the help was opened", () => {
    const { button, find } = pieces();
    button("? Help").click();
    find("input").focus();
    button("? Help").click();
    expect(find("[role=dialog]").hidden).toBe(true);
    expect(document.activeElement).toBe(find("input"));
  });

  it("opens the menu of pictures under its button", () => {
    const { labeled } = pieces();
    labeled("Save a picture").click();
    expect(labeled("Save a picture").getAttribute("aria-expanded")).toBe("true");
    expect(document.activeElement?.textContent).toBe("PNG image");
  });

  it("shows what was saved, and says of the cursor's cell what its tooltip does", async () => {
    const { find, tell, labeled } = pieces();
    find("[role=grid]").focus();
    expect(find(".hg-detail").textContent).toBe("saved as mine");
    await tell("saved", { items: [] });
    expect(find(".hg-detail").textContent).toBe("");
    expect(labeled("Show mine on the grid")).toBeNull();
  });

  it("has a row for the arrows, which is gone with the last of them", async () => {
    const { find, tell } = pieces();
    expect(find(".hg-arrows").textContent).toContain("1 of 2");
    expect(find(".hg-arrows").textContent).toContain("z above random is not use. Gray: too few pairs");
    const strong = [arrow(L0H0, L1H1, 5), arrow(L0H1, L1H1, 2)];
    await tell("arrows", { arrows: strong, baseline: 0, fence: 6, note: "" });
    expect(find(".hg-arrows").textContent).toContain("Gray: as most pairs.");
    await tell("arrows", { arrows: strong, baseline: 0, fence: 4, note: "why" });
    expect(find(".hg-arrows .hg-note").textContent).toBe("z above random is not use.");
    expect(find(".hg-arrows .hg-note").title).toBe("why");
    await tell("arrows", { arrows: [], baseline: 0, fence: null, note: "" });
    expect(find(".hg-arrows").hidden).toBe(true);
  });

  it("tells what the colors mean, and how far the work on them is", async () => {
    const { find, tell } = pieces();
    expect(find(".hg-progress").hidden).toBe(true);
    await tell("progress", { label: "reading every head", done: 1, total: 3 });
    expect(find(".hg-progress").textContent).toContain("1 of 3");
    await tell("colors", colors(Array(cells.count).fill(0.5)));
    expect(find(".hg-legend").textContent).toContain("copying score");
  });

  it("hands the words that Python knows to the box", async () => {
    vi.useFakeTimers();
    const { find, host, tell } = pieces();
    const input = find("input") as HTMLInputElement;
    input.focus();
    input.value = "l1";
    input.setSelectionRange(2, 2);
    input.dispatchEvent(new Event("input"));
    vi.advanceTimersByTime(100);
    vi.useRealTimers();
    const { n } = host.state.complete as { n: number };
    await tell("completions", {
      complete: n,
      start: 0,
      end: 2,
      items: [{ text: "l1h", note: "a head", begun: true }],
    });
    expect([find("[role=listbox]").hidden, find("[role=option]").textContent]).toEqual([false, "l1ha head"]);
  });
});

describe("a view of what heads do on a text", () => {
  const cells = small();
  const [L0_LN1, L0H1, L1H1] = [2, 4, 9];

  function texts(more: Record<string, unknown> = {}) {
    const host = new Host({
      ...{ spec: specOf(2, 3), cells: on(cells, L1H1), partial: on(cells), text: text() },
      task_state: task({ rows: ["when mary gave", "the cat"] }),
      ...more,
    });
    document.body.replaceChildren();
    const { el, button } = viewOf(host);
    const find = <T extends HTMLElement>(selector: string) => el.querySelector<T>(selector)!;
    const tab = () =>
      [...el.querySelectorAll<HTMLElement>("[role=tab]")].find((one) => one.ariaSelected === "true");
    const open = (name: string) =>
      [...el.querySelectorAll<HTMLElement>("[role=tab]")]
        .find((one) => one.firstChild?.textContent === name)!
        .click();
    const focus = async (cell: number) => {
      host.tell("focus", { n: ((host.state.focus as { n: number })?.n ?? 0) + 1, cell, ln: "folded" });
      await shown();
    };
    const asked = () =>
      host.state.live_query as { n: number; panel: boolean; row: number; thumbnails: boolean };
    return {
      host,
      el,
      find,
      tab,
      open,
      focus,
      asked,
      button,
      prompt: find<HTMLInputElement>(".hg-prompt-input"),
    };
  }

  it("asks for nothing unasked", async () => {
    const { host, focus } = texts();
    await focus(L0H1);
    host.tell("task_state", task({ rows: ["a text"] }));
    await shown();
    expect(host.writes).toEqual([]);
  });

  it("asks for patterns when the tab is opened, and for no more when another one is", async () => {
    const { open, focus, asked, tab, host } = texts();
    await focus(L0H1);
    host.tell("summary", summary({ focus: 1, cell: L0H1 }));
    await shown();
    open("Live");
    expect(asked()).toEqual({ n: 1, row: 0, panel: true, thumbnails: false });
    open("OV");
    expect([asked().panel, asked().n, tab()!.firstChild!.textContent]).toEqual([false, 2, "OV"]);
  });

  it("sends a text, opens the tab, and shows the answer of the last question only", async () => {
    const { host, prompt, asked, find } = texts({
      live_query: { n: 4, row: 1, panel: false, thumbnails: false },
    });
    expect(prompt.value).toBe("the cat");
    prompt.value = "when john";
    prompt.dispatchEvent(new Event("input"));
    prompt.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
    expect(host.state.prompt).toEqual({ n: 1, text: "when john", contrast: "" });
    expect(asked()).toEqual({ n: 5, row: 0, panel: true, thumbnails: false });
    const heads = [head(L1H1, "l1h1", [[1], [0.2, 0.8]])];
    const answer = { focus: 0, row: 0, next: [{ token: " gave", p: 0.48 }] };
    host.send({
      task_state: task({ prompt: 1, rows: ["when john"] }),
      live: liveView(["when", " john"], heads, { ...answer, query: 4 }),
    });
    await shown();
    expect(find(".hg-next").textContent).toBe("");
    host.tell("live", liveView(["when", " john"], heads, { ...answer, query: 5 }));
    await shown();
    expect(find(".hg-next").textContent).toContain("·gave 48.0");
    expect(find(".hg-key-list h4").textContent).toBe("at ·john it looks at");
  });

  it("goes to another row, and has patterns drawn in the cells", async () => {
    const { button, asked, el, host } = texts();
    button("Next row").click();
    expect([asked().row, asked().n]).toEqual([1, 1]);
    const menu = [...el.querySelectorAll("select")].find((one) =>
      one.textContent!.includes("attention patterns"),
    )!;
    menu.value = "patterns";
    menu.dispatchEvent(new Event("change"));
    await shown();
    expect([asked(), host.writes]).toEqual([
      { n: 2, row: 1, panel: false, thumbnails: true },
      ["live_query", "live_query"],
    ]);
    expect(el.querySelector(".hg-patterns-note")!.textContent).toBe("running the model…");
  });

  it("has no Live tab for what is no head, and no row of the text for a config", async () => {
    const { focus, el, host, find } = texts({ cells: on(cells) });
    await focus(L0_LN1);
    expect(el.querySelector(".hg-live-tab")).toBeNull();
    host.tell("task_state", task({ available: false }));
    await shown();
    expect(find(".hg-prompt").hidden).toBe(true);
  });
});
