import { describe, expect, it } from "vitest";
import { assign, empty, without } from "../../src/model/bits";
import { readCells, textOfCells } from "../../src/model/cell_words";
import { type Cells, readSpec } from "../../src/model/cells";
import { textOf, wholeCells } from "../../src/model/page_selection";
import type { GridSpec } from "../../src/model/wire";
import { handledCells } from "../handled";
import { members, on, small } from "../specs";

interface Model extends Pick<GridSpec, "bands" | "stacks" | "tooltips"> {
  family: string;
  absent: number[];
  cases: { cells: number[]; python: string; text: string; counts: string; n_selected: number }[];
}

/** What Python made: `tests/widget/export/test_cell_words.py` reads it too. */
const [file] = Object.values(
  import.meta.glob("./cell_words.json", { query: "?raw", import: "default", eager: true }),
);
const models = JSON.parse(file!) as Model[];

function cellsOf({ bands, stacks, tooltips, absent }: Model): Cells {
  const cells = readSpec({ bands, stacks, tooltips });
  const bits = assign(empty(cells.count), absent, true);
  return { ...cells, absent: bits, present: without(cells.present, bits) };
}

describe.each(models)("the words of $family", (model) => {
  const cells = cellsOf(model);

  it("are those that Python was shown to read as the same parts", () => {
    for (const one of model.cases) expect(textOfCells(cells, on(cells, ...one.cells))).toBe(one.text);
  });

  it("come with the counts that Python has", () => {
    for (const one of model.cases) {
      const { counts, n_selected } = textOf(cells, wholeCells(on(cells, ...one.cells)), 0);
      expect([counts, n_selected]).toEqual([one.counts, one.n_selected]);
    }
  });

  it("are read as the cells that they were printed of", () => {
    for (const one of model.cases) {
      const read = readCells(cells, one.text);
      expect(read.error).toBeNull();
      expect(members(cells, read.on!)).toEqual(one.cells);
    }
  });

  it("are read as Python means them, or not at all, where Python printed them", () => {
    let read = 0;
    for (const one of model.cases) {
      const { on: found } = readCells(cells, one.python);
      if (!found) continue;
      read++;
      expect(members(cells, found)).toEqual(one.cells);
    }
    expect(read).toBeGreaterThan(0.6 * model.cases.length);
  });
});

describe("a text that a page reads", () => {
  // Cells 0-1 are the embeddings, 2-6 layer 0, 7-11 layer 1, 12 the unembedding.
  const cells = small();
  const read = (text: string) => {
    const { on: found, error } = readCells(cells, text);
    return found ? members(cells, found) : error!;
  };

  it("may be a union of words, with what is left out after a minus", () => {
    expect(read("l0h1 | l1h2")).toEqual([4, 10]);
    expect(read(" L0H1,embed ")).toEqual([0, 4]);
    expect(read("l0h* - l0h1 | l1 mlp")).toEqual([3, 5, 11]);
    expect(read("l*h0")).toEqual([3, 8]);
    expect(read("l0 - l0 ln1 - l0 mlp")).toEqual([3, 4, 5]);
    expect(read("none")).toEqual([]);
    expect(read("full - l0 - l1")).toEqual([0, 1, 12]);
  });

  it("may have ranges and lists of numbers, all of which are there", () => {
    expect(read("l0-1h[0,2]")).toEqual([3, 5, 8, 10]);
    expect(read("l0h0-1 - l0h0")).toEqual([4]);
    expect(read("l0h[0,7]")).toMatchObject({ start: 0, end: 8 });
    expect(read("l0-99999999999h0")).toMatchObject({ start: 0 });
  });

  it("is refused where a word is none of these, with its place and what may be written", () => {
    const refused = read("l0h1 | ~l0h2");
    expect(refused).toMatchObject({ start: 7, end: 12 });
    expect((refused as { message: string }).message).toMatch(
      /^"~l0h2" is not read here: this page has no Python\./,
    );
    expect(read("l0h1.q")).toMatchObject({ start: 0, end: 6 });
    expect(read("l0h9")).toMatchObject({ start: 0, end: 4 });
    expect(read("")).toMatchObject({ start: 0, end: 1 });
    expect(read("l0h1 |")).toMatchObject({ start: 6 });
    expect(read("l0h*  -  foo")).toMatchObject({ start: 9, end: 12 });
  });

  it("names a handle for all of its cells", () => {
    const handled = handledCells();
    expect(textOfCells(handled, on(handled, 3, 4, 5, 6, 8))).toBe("l0 mlp | l1h1");
    expect(members(handled, readCells(handled, "l1 mlp").on!)).toEqual([10, 11, 12, 13]);
  });
});
