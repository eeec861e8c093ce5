import { describe, expect, it } from "vitest";
import { around, makeQuery, shownText } from "../../src/chrome/query";
import { text } from "../specs";

describe("the query box", () => {
  const life = () => new AbortController().signal;
  const enter = (input: HTMLInputElement, value: string) => {
    input.value = value;
    input.dispatchEvent(new Event("input"));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
  };
  const boxOf = (sent: string[]) => {
    const box = makeQuery(
      {
        ask: (query) => sent.push(query),
        say: (sentence) => sent.push(sentence),
        leave: () => {},
      },
      document.createElement("span"),
      life(),
    );
    return {
      box,
      input: box.element.querySelector("input")!,
      error: box.element.querySelector("[role=alert]")!,
    };
  };

  it("shows the selection, and an empty box for nothing", () => {
    const { box, input } = boxOf([]);
    box.update(text({ selection: "l1h2 | l0 mlp" }), true);
    expect(input.value).toBe("l1h2 | l0 mlp");
    expect(shownText("none")).toBe("");
  });

  it("keeps all of its text selected for who is about to type over it, whatever comes meanwhile", () => {
    const { box, input } = boxOf([]);
    document.body.replaceChildren(box.element);
    const range = () => [input.value, input.selectionStart, input.selectionEnd];
    box.focus();
    box.update(text({ selection: "l0" }), true);
    expect(range()).toEqual(["l0", 0, 2]);
    box.update(text({ selection: "l1h2" }), true);
    expect(range()).toEqual(["l1h2", 0, 4]);
    input.setSelectionRange(2, 2); // a caret is no wish to replace
    box.update(text({ selection: "l0" }), true);
    expect(range()).toEqual(["l0", 2, 2]);
    input.select();
    input.blur();
    box.update(text({ selection: "l1" }), true);
    expect(document.activeElement).not.toBe(input);
  });

  it("remembers what was applied, once in a row, and nothing for an empty box", () => {
    const { box, input } = boxOf([]);
    for (const query of ["l0", " l0 ", "", "l1h2"]) enter(input, query);
    expect(box.history).toEqual(["l0", "l1h2"]);
  });

  it("keeps a refused text and marks where it is wrong", () => {
    const sent: string[] = [];
    const { box, input, error } = boxOf(sent);
    enter(input, "l1h2 | foo");
    box.update(text({ query: 1, error: { message: "no such part", start: 7, end: 10 } }), true);
    expect(sent).toEqual(["l1h2 | foo"]);
    expect(input.value).toBe("l1h2 | foo");
    expect([error.textContent, input.getAttribute("aria-invalid")]).toEqual(["no such part", "true"]);
    expect(box.element.querySelector("mark")!.textContent).toBe("foo");
  });

  it("keeps the same text that is typed again, whatever comes until it is applied", () => {
    const sent: string[] = [];
    const { box, input } = boxOf(sent);
    document.body.replaceChildren(box.element);
    input.focus();
    enter(input, "none");
    box.update(text({ query: 1 }), true);
    expect(input.value).toBe("");
    input.value = "none";
    input.dispatchEvent(new Event("input"));
    box.update(text({ query: 1, selection: "l1h2" }), true);
    expect(input.value).toBe("none");
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
    expect(sent).toEqual(["none", "none"]);
  });

  it("refuses the same wrong text a second time", () => {
    const held: { box?: ReturnType<typeof makeQuery> } = {};
    const now = { query: 1, error: null as ReturnType<typeof text>["error"] };
    let asked = 1;
    const box = makeQuery(
      {
        ask: () => {
          held.box?.update(text(now), true); // as a change of the model does at once
          return ++asked;
        },
        say: () => {},
        leave: () => {},
      },
      document.createElement("span"),
      life(),
    );
    held.box = box;
    const input = box.element.querySelector("input")!;
    const wrong = { message: "no part is called x", start: 0, end: 1 };
    const refused = () => {
      enter(input, "x");
      box.update(text({ query: asked, error: wrong }), true);
      return [input.value, box.element.querySelector("[role=alert]")!.textContent];
    };
    expect(refused()).toEqual(["x", wrong.message]);
    Object.assign(now, { query: asked });
    box.update(text(now), true); // a click: the error is over
    expect(refused()).toEqual(["x", wrong.message]);
  });

  it("takes Python's spelling of an accepted text", () => {
    const { box, input } = boxOf([]);
    enter(input, "L1H2");
    box.update(text({ query: 1, selection: "l1h2" }), true);
    expect(input.value).toBe("l1h2");
  });

  it("ignores an error that answers another view's question", () => {
    const { box, error } = boxOf([]);
    box.update(text({ query: 7, error: { message: "no", start: 0, end: 1 } }), true);
    expect(error.textContent).toBe("");
  });

  it("marks one blank where an error is at the end of the text", () => {
    expect(around("l1h", 3, 3)).toEqual(["l1h", "\u00a0", ""]);
  });

  it("never reads text as HTML", () => {
    const { box, input, error } = boxOf([]);
    enter(input, "<b>x</b>");
    box.update(text({ query: 1, error: { message: "<i>no</i>", start: 0, end: 8 } }), true);
    expect(error.children.length).toBe(0);
    expect(box.element.querySelector("b")).toBeNull();
  });
});
