import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { accepted, makeCompleting, QueryHistory } from "../../src/chrome/completion";
import { makeQuery } from "../../src/chrome/query";
import type { CompletionList } from "../../src/model/wire";
import { text } from "../specs";

describe("an accepted word", () => {
  it("replaces what it completes and leaves the rest", () => {
    expect(accepted("l0 mlp | l1h | embed", { start: 9, end: 12 }, "l1h2")).toEqual([
      "l0 mlp | l1h2 | embed",
      13,
    ]);
  });
});

describe("the texts that were applied", () => {
  it("are walked back and forth, and the draft stands at the end", () => {
    const history = new QueryHistory(["l0", "l1"]);
    expect(history.step(1, "draft")).toBeNull();
    expect([history.step(-1, "draft"), history.step(-1, "l1"), history.step(-1, "l0")]).toEqual([
      "l1",
      "l0",
      null,
    ]);
    expect([history.step(1, "l0"), history.step(1, "l1"), history.step(1, "draft")]).toEqual([
      "l1",
      "draft",
      null,
    ]);
  });

  it("are the last fifty", () => {
    const history = new QueryHistory(Array.from({ length: 60 }, (_, k) => `l${k}`));
    let shown = "";
    let steps = 0;
    for (let text = history.step(-1, ""); text !== null; text = history.step(-1, text))
      [shown, steps] = [text, steps + 1];
    expect([shown, steps]).toEqual(["l10", 50]);
  });
});

describe("the texts that are applied while they are walked", () => {
  it("are the last again, from which it goes back", () => {
    const texts = Array.from({ length: 50 }, (_, k) => `l${k}`);
    const history = new QueryHistory(texts);
    expect([history.step(-1, ""), history.step(-1, "l49")]).toEqual(["l49", "l48"]);
    texts.push("embed");
    expect([history.step(-1, ""), history.step(1, "embed"), history.step(1, "")]).toEqual([
      "embed",
      "",
      null,
    ]);
    expect([texts.length, texts[0]]).toEqual([50, "l1"]);
  });
});

describe("the list of words", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    document.body.replaceChildren();
  });

  const setUp = () => {
    const life = new AbortController();
    const log: string[] = [];
    let n = 0;
    const box = makeQuery(
      {
        ask: (query) => {
          log.push(`ask ${query}`);
          return 7;
        },
        say: () => {},
        leave: () => log.push("leave"),
      },
      document.createElement("span"),
      life.signal,
    );
    document.body.append(box.element);
    const { input } = box;
    box.update(text(), true);
    input.focus();
    const completing = makeCompleting(
      box,
      (typed, at) => {
        log.push(`complete ${typed} ${at}`);
        return ++n;
      },
      life.signal,
    );
    const list = box.element.querySelector<HTMLElement>("[role=listbox]")!;
    const type = (value: string) => {
      input.value = value;
      input.setSelectionRange(value.length, value.length);
      input.dispatchEvent(new Event("input"));
    };
    const press = (key: string, more: KeyboardEventInit = {}) => {
      const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
      input.dispatchEvent(event);
      return event;
    };
    const answer = (start: number, ...words: string[]): CompletionList => ({
      complete: n,
      start,
      end: input.value.length,
      items: words.map((word) => ({ text: word, note: `note on ${word}`, begun: word.endsWith("h") })),
    });
    const active = () =>
      document.getElementById(input.getAttribute("aria-activedescendant") ?? "")?.firstChild?.textContent ??
      null;
    return { box, completing, input, list, log, life, type, press, answer, active };
  };
  const offered = (value = "l1", ...words: string[]) => {
    const all = setUp();
    all.type(value);
    vi.advanceTimersByTime(100);
    all.completing.update(all.answer(0, ...(words.length ? words : ["l1h", "l1 attn", "l1 mlp"])));
    return all;
  };

  it("is asked for once typing rests, and shows words with their notes", () => {
    const { input, list, log, type, completing, answer } = setUp();
    type("l");
    type("l1");
    expect(log).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(log).toEqual(["complete l1 2"]);
    completing.update(answer(0, "l1h", "<b>l1</b>"));
    expect(list.hidden).toBe(false);
    expect([...list.children].map((option) => option.textContent)).toEqual([
      "l1hnote on l1h",
      "<b>l1</b>note on <b>l1</b>",
    ]);
    expect(["role", "aria-expanded", "aria-autocomplete"].map((name) => input.getAttribute(name))).toEqual([
      "combobox",
      "true",
      "list",
    ]);
    expect(input.getAttribute("aria-controls")).toBe(list.id);
  });

  it("is not asked for what was applied at once", () => {
    const { log, type, press } = setUp();
    type("none");
    press("Enter");
    vi.advanceTimersByTime(100);
    expect(log).toEqual(["ask none"]);
  });

  it("is not asked for what nobody typed", () => {
    const { log } = setUp();
    vi.advanceTimersByTime(100);
    expect(log).toEqual([]);
  });

  it("moves over the words with the arrow keys, round and round", () => {
    const { press, active, list } = offered();
    const seen = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"].map((key) => {
      press(key);
      return active();
    });
    expect(seen).toEqual(["l1h", "l1 attn", "l1 mlp", "l1h", "l1 mlp"]);
    expect([...list.children].map((option) => option.getAttribute("aria-selected"))).toEqual([
      "false",
      "false",
      "true",
    ]);
  });

  it("stays as it is when the same answer is told of again", () => {
    const { press, active, completing, answer } = offered();
    press("ArrowDown");
    press("ArrowDown");
    completing.update(answer(0, "l1h", "l1 attn", "l1 mlp"));
    expect(active()).toBe("l1 attn");
  });

  it.each(["Enter", "Tab"])("takes the active word with %s", (key) => {
    const { press, input, list, log } = offered();
    press("ArrowDown");
    press("ArrowDown");
    expect(press(key).defaultPrevented).toBe(true);
    expect([input.value, input.selectionStart, list.hidden]).toEqual(["l1 attn", 7, true]);
    expect(log).toEqual(["complete l1 2"]);
  });

  it("leaves Tab to the page, and Enter to the query, where no word is active", () => {
    const { press, log, list } = offered();
    expect(press("Tab").defaultPrevented).toBe(false);
    press("Enter");
    expect(log.at(-1)).toBe("ask l1");
    expect(list.hidden).toBe(true);
  });

  it("asks on for a word that waits for its number", () => {
    const { press, log } = offered();
    press("ArrowDown");
    press("Enter");
    vi.advanceTimersByTime(100);
    expect(log.at(-1)).toBe("complete l1h 3");
  });

  it("takes a word by a click, and keeps the focus", () => {
    const { list, input } = offered();
    const down = new Event("pointerdown", { bubbles: true, cancelable: true });
    list.children[2]!.firstChild!.dispatchEvent(down);
    expect(down.defaultPrevented).toBe(true);
    list.children[2]!.firstChild!.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    expect([input.value, document.activeElement]).toEqual(["l1 mlp", input]);
  });

  it("is closed by Escape before anything else is", () => {
    const { press, list, input, log } = offered();
    press("Escape");
    expect([list.hidden, input.value, input.getAttribute("aria-expanded"), log.includes("leave")]).toEqual([
      true,
      "l1",
      "false",
      false,
    ]);
    press("Escape");
    expect([input.value, log.at(-1)]).toEqual(["", "leave"]);
  });

  it("opens on Alt and Down", () => {
    const { press, log, completing, answer, list } = setUp();
    press("ArrowDown", { altKey: true });
    vi.advanceTimersByTime(1);
    expect(log).toEqual(["complete  0"]);
    completing.update(answer(0, "l0", "full"));
    expect(list.hidden).toBe(false);
  });

  it("drops an answer to what is typed no more, or that comes after all", () => {
    const { completing, list, type, answer, press } = setUp();
    type("l1");
    vi.advanceTimersByTime(100);
    const late = answer(0, "l1h");
    type("l12");
    completing.update(late);
    expect(list.hidden).toBe(true);
    vi.advanceTimersByTime(100);
    completing.update(late);
    expect(list.hidden).toBe(true);
    press("Enter");
    completing.update(answer(0, "l12h"));
    completing.update(null);
    expect(list.hidden).toBe(true);
  });

  it("does not show what stands there already as its only word", () => {
    expect(offered("l1h2", "l1h2").list.hidden).toBe(true);
  });

  it("is not asked for without a kernel", () => {
    const { box, type, log } = setUp();
    box.update(text(), false);
    type("l1");
    vi.advanceTimersByTime(100);
    expect(log).toEqual([]);
  });

  it("asks nothing more once its view is gone", () => {
    const { type, log, life } = setUp();
    type("l1");
    life.abort();
    vi.advanceTimersByTime(100);
    expect(log).toEqual([]);
  });

  it("leaves the arrow keys to what was applied before while it is closed", () => {
    const { press, type, input, log } = setUp();
    for (const query of ["l0", "l1h2"]) {
      type(query);
      press("Enter");
    }
    type("embed | l");
    press("ArrowUp");
    expect(input.value).toBe("l1h2");
    press("ArrowUp");
    press("ArrowDown");
    press("ArrowDown");
    expect(input.value).toBe("embed | l");
    expect(log.filter((entry) => entry.startsWith("ask"))).toEqual(["ask l0", "ask l1h2"]);
  });
});
