import { describe, expect, it } from "vitest";
import { empty } from "../../src/model/bits";
import {
  block,
  exists,
  groupAt,
  labelOf,
  linesOf,
  membersOf,
  nameOf,
  numberAt,
  orderOf,
  positionOf,
  readSpec,
  wordOf,
} from "../../src/model/cells";
import { grouped, handled, handledCells } from "../handled";
import { on, small, specOf } from "../specs";

describe("cells", () => {
  it("are numbered band by band, row by row", () => {
    const cells = small();
    expect(cells.count).toBe(13);
    expect(numberAt(cells, { band: 1, row: 1, column: 2 })).toBe(9);
    expect(numberAt(cells, { band: 2, row: 0, column: 0 })).toBe(12);
  });

  it("have a position for each number and a number for each position", () => {
    const cells = small();
    for (let n = 0; n < cells.count; n++) expect(numberAt(cells, positionOf(cells, n)!)).toBe(n);
    expect(positionOf(cells, -1)).toBeNull();
    expect(positionOf(cells, 13)).toBeNull();
  });

  it("have no number where they are absent", () => {
    const cells = small([9]);
    expect(numberAt(cells, { band: 1, row: 1, column: 2 })).toBe(-1);
    expect(membersOf(cells, { band: 1, row: 1, column: -1 })).toEqual([7, 8, 10, 11]);
  });

  it("say their words and names", () => {
    const cells = small();
    expect(wordOf(cells, { band: 1, row: 1, column: 3 })).toBe("l1h2");
    expect(wordOf(cells, { band: 1, row: 0, column: 4 })).toBe("l0 mlp");
    expect(wordOf(cells, { band: 0, row: 0, column: 1 })).toBe("pos");
    expect(nameOf(cells, { band: 1, row: 1, column: 3 })).toBe("layer 1 head 2");
  });

  it("are labeled with their state", () => {
    const cells = small();
    const position = { band: 1, row: 1, column: 3 };
    expect(labelOf(cells, position, on(cells, 10), empty(13))).toBe("layer 1 head 2, selected");
    expect(labelOf(cells, position, empty(13), on(cells, 10))).toBe("layer 1 head 2, partly selected");
    expect(labelOf(cells, position, empty(13), empty(13), "copying score 0.98")).toBe(
      "layer 1 head 2, copying score 0.98",
    );
    expect(labelOf(cells, { ...position, column: -1 }, on(cells, 10), empty(13))).toBe(
      "layer 1, 1 of 5 selected",
    );
  });

  it("form a block between any two corners of one band, and none across bands", () => {
    const cells = small();
    const a = { band: 1, row: 0, column: 3 };
    expect(block(cells, a, { band: 1, row: 1, column: 2 })).toEqual([4, 5, 9, 10]);
    expect(block(cells, a, { band: 2, row: 0, column: 0 })).toEqual([]);
  });

  it("lie behind handles, in one row or in all", () => {
    const cells = handledCells();
    expect(membersOf(cells, { band: 0, row: 1, column: -2 })).toEqual([10, 11, 12, 13]);
    expect(membersOf(cells, { band: 0, row: -1, column: -2 })).toEqual([3, 4, 5, 6, 10, 11, 12, 13]);
    expect(membersOf(cells, { band: 0, row: 1, column: -3 })).toEqual([]);
    expect(orderOf(handled())).toEqual([0, 1, 2, -2, 3, 4, 5, 6]);
  });

  it("give a handle its word and its name, and count what is selected behind it", () => {
    const cells = handledCells();
    const position = { band: 0, row: 1, column: -2 };
    expect(wordOf(cells, position)).toBe("l1 mlp");
    expect(labelOf(cells, position, on(cells, 3, 10, 11), empty(14))).toBe("layer 1 MLP, 2 of 4 selected");
    expect(labelOf(cells, { ...position, row: -1 }, on(cells, 3, 10), empty(14))).toBe(
      "MLP, every row, 2 of 8 selected",
    );
  });

  it("need no handles, which an older spec does not have", () => {
    const { bands } = specOf(2, 3);
    const cells = readSpec({
      bands: bands.map(({ handles, ...band }) => band as typeof band & { handles: [] }),
    });
    expect(orderOf(cells.bands[1]!)).toEqual([0, 1, 2, 3, 4]);
    expect(membersOf(cells, { band: 1, row: 0, column: -2 })).toEqual([]);
    expect(exists(cells, { band: 1, row: 0, column: -2 })).toBe(false);
  });

  it("form groups where heads share a key/value head", () => {
    const cells = grouped();
    expect(groupAt(cells.bands[1], 5)).toEqual([4, 6]);
    expect(groupAt(cells.bands[1], 0)).toBeNull();
    expect(groupAt(small().bands[1], 2)).toBeNull();
    expect(membersOf(cells, { band: 1, row: -2, column: 4 })).toEqual([6, 7, 8, 14, 15, 16]);
    expect(nameOf(cells, { band: 1, row: -2, column: 4 })).toBe("group 1, heads 3 to 5, every row");
    expect(labelOf(cells, { band: 1, row: 0, column: 5 }, on(cells, 7), empty(19))).toBe(
      "layer 0 head 4, selected, group 1, 3 heads",
    );
  });

  it("have a line of brackets only where there are groups, with one position for each", () => {
    const rows = (cells = grouped()) => linesOf(cells).map(({ row }) => row);
    expect(rows()).toEqual([0, -2, -1, 0, 1, 0]);
    expect(rows(small())).toEqual([0, -1, 0, 1, 0]);
    const locations = (column: number) => exists(grouped(), { band: 1, row: -2, column });
    expect([-1, 0, 1, 2, 3, 4, 7].filter(locations)).toEqual([1, 4]);
  });

  it("leave a handle without cells out", () => {
    const cells = readSpec({
      bands: [handled()],
      absent: new DataView(Uint8Array.of(0b01111000, 0).buffer),
    });
    expect(exists(cells, { band: 0, row: 0, column: -2 })).toBe(false);
    expect(exists(cells, { band: 0, row: 1, column: -2 })).toBe(true);
  });

  it("are none before the spec has come", () => {
    expect(readSpec({}).count).toBe(0);
  });
});
