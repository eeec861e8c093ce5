import { describe, expect, it } from "vitest";
import { freshName, overlapText } from "../../src/model/overlap";
import { on, small } from "../specs";

const cells = small();
const set = (name: string, ...members: number[]) => ({ name, bits: on(cells, ...members) });

describe("how saved selections overlap", () => {
  it("says nothing of one", () => {
    expect([overlapText([]), overlapText([set("a", 1)])]).toEqual(["", ""]);
  });

  it("counts what two share and what each has alone", () => {
    expect(overlapText([set("induction", 3, 4, 8, 10), set("copying", 4, 8, 12)])).toBe(
      "induction and copying: 2 cells in both, 2 only in induction, 1 only in copying",
    );
    expect(overlapText([set("a", 3, 9), set("b", 9)])).toBe(
      "a and b: 1 cell in both, 1 only in a, none only in b",
    );
    expect(overlapText([set("a", 3), set("b", 9)])).toBe(
      "a and b: no cells in both, 1 only in a, 1 only in b",
    );
  });

  it("calls two that are the same so", () => {
    expect(overlapText([set("a", 3, 9), set("b", 3, 9)])).toBe("a and b: the same 2 cells");
  });

  it("counts the cells of all and of any where there are more", () => {
    expect(overlapText([set("a", 2, 3, 9), set("b", 3, 9), set("c", 3, 12)])).toBe(
      "3 selections: 1 cell in all of them, 4 in any",
    );
  });
});

describe("the name that is proposed", () => {
  it("is the first that is free", () => {
    expect(freshName([])).toBe("selection 1");
    expect(freshName(["selection 1", "induction", "selection 3"])).toBe("selection 2");
  });
});
