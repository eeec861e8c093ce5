import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeAnnouncer } from "../../src/chrome/announce";
import { text } from "../specs";

const NONE = text({ counts: "nothing is selected" });
const ONE = text({ selection: "l0h1", counts: "1 head" });
const TWO = text({ selection: "l0h1 | l1h2", counts: "2 heads" });

const makeOne = (spec: object = {}, life = new AbortController()) => {
  const announcer = makeAnnouncer(() => spec, NONE, life.signal);
  return { ...announcer, said: () => announcer.element.textContent };
};

describe("what is said of a change", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is what was done here, with Python's counts", () => {
    const one = makeOne();
    one.say("head 1 selected");
    expect(one.said()).toBe("");
    one.counted(ONE);
    expect(one.said()).toBe("head 1 selected; 1 head");
  });

  it("does not wait long for the counts, and is not said again when they come", () => {
    const one = makeOne();
    one.say("head 1 selected");
    vi.advanceTimersByTime(500);
    expect(one.said()).toBe("head 1 selected");
    one.counted(ONE);
    expect(one.said()).toBe("head 1 selected");
    one.counted(TWO);
    expect(one.said()).toBe("selection changed; 2 heads");
  });

  it("is said of others' changes, once", () => {
    const one = makeOne();
    one.counted(ONE);
    expect(one.said()).toBe("selection changed; 1 head");
    one.element.textContent = "";
    one.counted({ ...ONE, query: 3 });
    expect(one.said()).toBe("");
  });

  it("waits for a command as long as it takes, also where the selection stays as it was", () => {
    const one = makeOne();
    one.later("undone");
    vi.advanceTimersByTime(10_000);
    expect(one.said()).toBe("");
    one.counted(ONE);
    one.done(true);
    vi.runAllTimers();
    expect(one.said()).toBe("undone; 1 head");
    one.later("induction saved");
    one.done(true);
    vi.runAllTimers();
    expect(one.said()).toBe("induction saved; 1 head");
  });

  it("is nothing for a command that was refused", () => {
    const one = makeOne();
    one.later("full saved");
    one.counted({ ...NONE, error: { message: "no", start: 0, end: 0 } });
    one.done(false);
    one.counted(ONE);
    expect(one.said()).toBe("selection changed; 1 head");
  });

  it("differs when the same is said twice, so that it is heard twice", () => {
    const one = makeOne();
    one.say("undone");
    one.counted(ONE);
    const first = one.said();
    one.say("undone");
    one.counted(ONE);
    expect(one.said()).not.toBe(first);
    expect(one.said()?.trim()).toBe(first);
  });

  it("comes from one of several views: from the one that was used last, and from another when that closes", () => {
    const spec = {};
    const life = new AbortController();
    const [one, two] = [makeOne(spec), makeOne(spec, life)];
    two.say("head 1 selected");
    for (const view of [one, two]) view.counted(ONE);
    expect([one.said(), two.said()]).toEqual(["", "head 1 selected; 1 head"]);
    for (const view of [one, two]) view.counted(TWO);
    expect([one.said(), two.said()]).toEqual(["", "selection changed; 2 heads"]);
    life.abort();
    one.counted(ONE);
    expect(one.said()).toBe("selection changed; 1 head");
  });
});
