import { describe, expect, it } from "vitest";
import { layOut, rectOf } from "../../src/grid/geometry";
import { listenToPointer } from "../../src/grid/pointer";
import { type Position, samePosition } from "../../src/model/cells";
import type { Editor } from "../../src/model/editor";
import { newView } from "../../src/model/view";
import { measure, small } from "../specs";

const cells = small([9]);
const geometry = layOut(cells, 30, measure);
const HEADER: Position = { band: 1, row: -1, column: 2 };
const CELL: Position = { band: 1, row: 0, column: 1 };

function targetOf() {
  const element = document.createElement("div");
  document.body.replaceChildren(element);
  const view = newView(cells, "");
  const toggled: Position[] = [];
  const on: Position[] = [];
  const calls: string[] = [];
  const editor = {
    toggle: (position: Position) => toggled.push(position),
    isOn: (position: Position) => on.some((one) => samePosition(one, position)),
    startBrush: (position: Position) => {
      view.brush = { from: position, to: position, add: true };
    },
    endBrush: () => {
      view.brush = null;
      calls.push("edited");
    },
  } as unknown as Editor;
  listenToPointer(
    {
      ...{ element, viewport: element, view, editor },
      cells: () => cells,
      geometry: () => geometry,
      positionOf: () => null,
      pressed: () => calls.push("pressed"),
      released: () => calls.push("released"),
      changed: () => {},
    },
    new AbortController().signal,
  );
  const fire = (type: string, position: Position, more = {}) => {
    const { x, y, width, height } = rectOf(geometry, position);
    const at = { clientX: x + width / 2, clientY: y + height / 2 };
    const given = { isPrimary: true, pointerType: "mouse", button: 0, bubbles: true, cancelable: true };
    element.dispatchEvent(new PointerEvent(type, { ...given, ...at, ...more }));
  };
  return { fire, toggled, calls, view, on };
}

describe("a pointer", () => {
  it("switches what it is pressed and released on", () => {
    const { fire, toggled } = targetOf();
    fire("pointerdown", HEADER);
    fire("pointerup", HEADER);
    expect(toggled).toEqual([HEADER]);
  });

  it("has a cell described only after it has switched it", () => {
    const { fire, calls } = targetOf();
    fire("pointerdown", { band: 1, row: 0, column: 1 });
    fire("pointerup", { band: 1, row: 0, column: 1 });
    expect(calls).toEqual(["pressed", "edited", "released"]);
  });

  it("switches nothing by a press that was released elsewhere, and a release whose press was elsewhere", () => {
    const { fire, toggled } = targetOf();
    fire("pointerdown", HEADER);
    fire("pointerleave", HEADER);
    fire("pointermove", HEADER);
    fire("pointerup", HEADER);
    expect(toggled).toEqual([]);
  });

  it("is over nothing once a page scrolls under the finger", () => {
    const { fire, view, toggled } = targetOf();
    fire("pointerdown", CELL, { pointerType: "touch" });
    expect(view.hover).toEqual(CELL);
    fire("pointercancel", CELL, { pointerType: "touch" });
    expect([view.hover, toggled]).toEqual([null, []]);
  });

  it("looks at what is selected, and takes out what is looked at already", () => {
    const { fire, calls, view, on } = targetOf();
    on.push(CELL);
    const click = () => {
      fire("pointerdown", CELL);
      fire("pointerup", CELL);
    };
    click();
    expect(calls).toEqual(["pressed", "released"]);
    Object.assign(view, { cursor: CELL, visited: true });
    click();
    expect(calls).toEqual(["pressed", "released", "pressed", "edited", "released"]);
  });

  it("drags from what is selected, though a click there would look", () => {
    const { fire, calls, on } = targetOf();
    on.push(CELL);
    fire("pointerdown", CELL);
    fire("pointermove", { ...CELL, column: 2 });
    fire("pointerup", { ...CELL, column: 2 });
    expect(calls).toEqual(["pressed", "edited", "released"]);
  });

  it("selects nothing in look mode", () => {
    const { fire, calls, toggled, view } = targetOf();
    view.looking = true;
    for (const position of [CELL, HEADER]) {
      fire("pointerdown", position);
      fire("pointermove", { ...position, column: 3 });
      fire("pointermove", position);
      fire("pointerup", position);
    }
    expect(toggled).toEqual([]);
    expect(calls).not.toContain("edited");
    expect(calls).toContain("released");
  });
});
