import { describe, expect, it } from "vitest";
import { drawnRows, makeHeadTable, nextOrder } from "../../src/inspector/head_table";
import { assign, empty } from "../../src/model/bits";
import { readHeadRows } from "../../src/model/head_rows";
import { headsTable } from "../fixtures";

function tableOf(cells: number[], values: number[], columns = ["copying score", "norm"]) {
  const went: number[] = [];
  const table = makeHeadTable(
    { word: (cell) => `w${cell}`, name: (cell) => `cell ${cell}`, go: (cell) => went.push(cell) },
    new AbortController().signal,
  );
  document.body.replaceChildren(table.element);
  const on = assign(empty(2000), cells, true);
  const rows = readHeadRows(headsTable(cells, columns, values), on, "folded");
  table.update(rows, cells[0]!);
  const all = (selector: string) => [...table.element.querySelectorAll<HTMLElement>(selector)];
  return {
    ...table,
    went,
    all,
    heads: () => all("tbody .hg-link").map((node) => node.textContent),
    sorters: () => all(".hg-sorter"),
    key: (node: HTMLElement, key: string) =>
      node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })),
  };
}

describe("the table of the selected heads", () => {
  it("has a row for each head and a column for each metric", () => {
    const table = tableOf([3, 4], [0.5, 3, -0.25, Number.NaN]);
    expect(table.sorters().map((node) => node.textContent)).toEqual(["head", "copying score", "norm"]);
    const texts = table.all("tbody tr").map((row) => [...row.children].map((cell) => cell.textContent));
    expect(texts).toEqual([
      ["w3", "0.500", "3.00"],
      ["w4", "−0.250", "–"],
    ]);
    expect(table.all("tr[aria-current=true]").map((row) => row.textContent)).toEqual(["w30.5003.00"]);
  });

  it("is sorted by a click on a header, largest first, then smallest, then as in the grid, and says so", () => {
    const table = tableOf([3, 4, 9], [1, 3, 5, 2, 3, 1]);
    const seen = () => [
      table.heads().join(" "),
      table.all("th[aria-sort]").map((cell) => cell.getAttribute("aria-sort"))[1],
    ];
    table.sorters()[1]!.click();
    expect(seen()).toEqual(["w4 w9 w3", "descending"]);
    table.sorters()[1]!.click();
    expect(seen()).toEqual(["w3 w9 w4", "ascending"]);
    table.sorters()[1]!.click();
    expect(seen()).toEqual(["w3 w4 w9", "none"]);
    expect(nextOrder({ column: -1, descending: false }, -1)).toEqual({ column: -1, descending: true });
  });

  it("keeps its order when new values come", () => {
    const table = tableOf([3, 4], [1, 0, 2, 0]);
    table.sorters()[1]!.click();
    const on = assign(empty(2000), [3, 4], true);
    table.update(readHeadRows(headsTable([3, 4], ["copying score", "norm"], [7, 0, 2, 0]), on, "folded"), 3);
    expect(table.heads()).toEqual(["w3", "w4"]);
  });

  it("looks at the head of a row that is clicked, or reached by keys", () => {
    const table = tableOf([3, 4, 9], [1, 3, 5, 2, 3, 1]);
    table.all("tbody td")[2]!.click();
    expect(table.went).toEqual([4]);
    const stops = () => table.all("tbody .hg-link").map((node) => node.tabIndex);
    table.all("tbody .hg-link")[0]!.focus();
    table.key(document.activeElement as HTMLElement, "End");
    expect(document.activeElement!.textContent).toBe("w9");
    expect(stops()).toEqual([-1, -1, 0]);
    table.key(document.activeElement as HTMLElement, "ArrowUp");
    (document.activeElement as HTMLElement).click();
    expect(table.went).toEqual([4, 4]);
  });

  it("draws of a thousand rows those in sight, and keeps the height of all", () => {
    expect(drawnRows(100, 0, 300)).toEqual([0, 100]);
    expect(drawnRows(1000, 0, 260)).toEqual([0, 22]);
    expect(drawnRows(1000, 13_000, 260)).toEqual([488, 522]);
    expect(drawnRows(1000, 1e6, 260)).toEqual([1000, 1000]);
    const cells = Array.from({ length: 1000 }, (_, k) => k);
    const table = tableOf(
      cells,
      cells.flatMap((k) => [k, -k]),
    );
    expect(table.heads().length).toBeLessThan(60);
    expect(table.all("table")[0]!.getAttribute("aria-rowcount")).toBe("1001");
    table.sorters()[1]!.click();
    expect(table.heads()[0]).toBe("w999");
    table.all("tbody .hg-link")[0]!.focus();
    table.key(document.activeElement as HTMLElement, "End");
    expect(document.activeElement!.textContent).toBe("w0");
  });

  it("shows the note, and that more is coming", () => {
    const table = tableOf([3], [1, 2]);
    const on = assign(empty(2000), [3], true);
    const more = { note: "the first 1 of 7", pending: true };
    table.update(readHeadRows(headsTable([3], ["copying score", "norm"], [1, 2], more), on, "folded"), 3);
    expect(table.all(".hg-note")[0]!.textContent).toBe("the first 1 of 7");
    expect(table.element.ariaBusy).toBe("true");
    table.update(null, 3);
    expect(table.element.hidden).toBe(true);
  });
});
