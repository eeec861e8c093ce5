import { describe, expect, it } from "vitest";
import { toWire } from "../../dev/bytes";
import { makeSaved, type SavedState, succeeded } from "../../src/chrome/saved";
import type { SavedSelection } from "../../src/model/wire";
import { on, small } from "../specs";

const cells = small();
const item = (name: string, ...members: number[]): SavedSelection => ({
  name,
  text: members.map((n) => `cell ${n}`).join(" | "),
  counts: `${members.length} cells`,
  color: "#d55e00",
  cells: toWire(on(cells, ...members)),
});
const INDUCTION = item("induction", 3, 4, 8);
const COPYING = item("copying", 4, 10);

function rowOf(more: Partial<SavedState> = {}) {
  const asked: string[] = [];
  const outcomes: boolean[] = [];
  const said: string[] = [];
  const marks: string[] = [];
  const events = {
    command: (...command: string[]) => asked.push(command.filter(Boolean).join(" ")),
    finished: (done: boolean) => void outcomes.push(done),
    shown: () => {},
    say: (sentence: string) => void said.push(sentence),
  };
  const row = makeSaved(marks, events, new AbortController().signal);
  document.body.replaceChildren(row.element);
  let state: SavedState = {
    items: [INDUCTION, COPYING],
    count: cells.count,
    selection: "l0h1",
    done: 0,
    error: "",
    live: true,
    ...more,
  };
  const update = (next: Partial<SavedState> = {}) => {
    state = { ...state, ...next };
    row.update(state);
  };
  update();
  const named = (name: string) =>
    [...row.element.querySelectorAll<HTMLElement>("button, input")].find(
      (node) => !node.closest("[hidden]") && (node.getAttribute("aria-label") ?? node.textContent) === name,
    )!;
  const press = (node: Element, key: string) =>
    node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const seen = (selector: string) => row.element.querySelector(selector)?.textContent;
  const type = (name: string) => {
    const input = named("Name of the selection") as HTMLInputElement;
    input.value = name;
    input.dispatchEvent(new Event("input"));
    input.form!.requestSubmit();
  };
  return { row, update, named, press, seen, type, asked, outcomes, said, marks };
}

describe("the saved selections", () => {
  it("are one small button as long as there are none", () => {
    const { row } = rowOf({ items: [] });
    const visible = [...row.element.querySelectorAll("button, span")].filter(
      (node) => !node.closest("[hidden]") && node.textContent,
    );
    expect(visible.map((node) => node.textContent)).toEqual(["Save selection…"]);
  });

  it("are selected again by their names, and the one that is on is marked", () => {
    const { named, asked, update } = rowOf();
    named("copying").click();
    expect(asked).toEqual(["recall copying"]);
    update({ selection: COPYING.text });
    expect(["induction", "copying"].map((name) => named(name).getAttribute("aria-current"))).toEqual([
      "false",
      "true",
    ]);
  });

  it("are shown on the grid and compared, without a kernel too", () => {
    const { named, marks, said, seen, asked } = rowOf({ live: false });
    named("Show copying on the grid").click();
    named("Show induction on the grid").click();
    expect(marks).toEqual(["copying", "induction"]);
    const overlap = "induction and copying: 1 cell in both, 2 only in induction, 1 only in copying";
    expect(seen(".hg-overlap")).toBe(overlap);
    expect(said).toEqual(["copying is shown on the grid", `induction is shown on the grid; ${overlap}`]);
    named("Show copying on the grid").click();
    expect([marks, seen(".hg-overlap"), asked]).toEqual([["induction"], "", []]);
    named("induction").click();
    expect(asked).toEqual([]);
  });

  it("keep what is shown in step with what there is", () => {
    const { named, marks, update } = rowOf();
    named("Show copying on the grid").click();
    update({ items: [INDUCTION] });
    expect(marks).toEqual([]);
  });

  it("show a name as text", () => {
    const { named, row } = rowOf({ items: [item("<img src=x>", 3)] });
    expect(row.element.querySelector("img")).toBeNull();
    expect(named("<img src=x>").textContent).toBe("<img src=x>");
  });

  it("are colored and removed, and the focus goes to the neighbor", () => {
    const { named, asked, update, press } = rowOf();
    named("Edit").click();
    const color = named("Color of copying") as HTMLInputElement;
    color.value = "#009e73";
    color.dispatchEvent(new Event("change"));
    named("Remove induction").focus();
    named("Remove induction").click();
    expect(asked).toEqual(["tint copying #009e73", "remove induction"]);
    update({ items: [COPYING], done: 2 });
    expect(document.activeElement).toBe(named("Remove copying"));
    press(named("copying"), "Delete");
    expect(asked.at(-1)).toBe("remove copying");
    update({ items: [], done: 3 });
    expect(document.activeElement).toBe(named("Save selection…"));
  });

  it("are removed by Delete only where the cross is in sight, which it brings", () => {
    const { named, asked, press } = rowOf();
    named("copying").focus();
    press(named("copying"), "Delete");
    expect(asked).toEqual([]);
    expect(document.activeElement).toBe(named("Remove copying"));
    press(named("Remove copying"), "Delete");
    expect(asked).toEqual(["remove copying"]);
  });

  it("get a name from a form that stays until Python has taken it", () => {
    const { named, type, asked, update, outcomes } = rowOf();
    named("Save selection…").focus();
    named("Save selection…").click();
    const input = named("Name of the selection") as HTMLInputElement;
    expect([input.value, document.activeElement]).toEqual(["selection 1", input]);
    type("  full ");
    type("full");
    expect(asked).toEqual(["save full"]);
    update({ done: 1, error: "'full' is taken" });
    expect(document.querySelector("[role=alert]")!.textContent).toBe("'full' is taken");
    expect(input.getAttribute("aria-invalid")).toBe("true");
    type("mine");
    expect(document.querySelector("[role=alert]")!.textContent).toBe("");
    update({ done: 2, items: [INDUCTION, COPYING, item("mine", 3)], error: "'full' is taken" });
    expect(outcomes).toEqual([false, true]);
    expect(document.activeElement).toBe(named("Save selection…"));
  });

  it("say that a name is taken before it is replaced", () => {
    const { named } = rowOf();
    named("Save selection…").click();
    const input = named("Name of the selection") as HTMLInputElement;
    input.value = "copying ";
    input.dispatchEvent(new Event("input"));
    expect(named("Replace")).toBeDefined();
    expect(named("Save")).toBeUndefined();
  });

  it("close the form by Escape", () => {
    const { named, press, asked } = rowOf();
    named("Save selection…").click();
    press(named("Name of the selection"), "Escape");
    expect([document.activeElement, asked]).toEqual([named("Save selection…"), []]);
  });

  it("are not made of nothing", () => {
    const { named } = rowOf({ selection: "none" });
    named("Save selection…").click();
    expect(named("Name of the selection")).toBeUndefined();
    expect(named("Save selection…").title).toBe("Nothing is selected");
  });
});

describe("whether a command succeeded", () => {
  const command = (what: "save" | "remove" | "tint" | "recall", value = "") => ({
    ...{ n: 1, what, name: "induction", value },
  });
  it("is seen in what is saved", () => {
    const items = [INDUCTION];
    expect([succeeded(command("save"), items), succeeded(command("save"), [COPYING])]).toEqual([true, false]);
    expect([succeeded(command("remove"), items), succeeded(command("remove"), [COPYING])]).toEqual([
      false,
      true,
    ]);
    expect([
      succeeded(command("tint", "#D55E00"), items),
      succeeded(command("tint", "#009e73"), items),
    ]).toEqual([true, false]);
    expect([succeeded(command("recall"), items), succeeded(command("recall"), [])]).toEqual([true, false]);
  });
});
