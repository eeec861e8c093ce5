import { describe, expect, it } from "vitest";
import { groupsOf, makeComposition, zAxisOf } from "../../src/inspector/composition";
import { alignCircuits, alignScores, columnsOf, makeComparison } from "../../src/inspector/selected_heads";
import { arrow, circuit } from "../fixtures";

const heads = [
  { cell: 1, title: "l0h1", circuits: [circuit(), circuit({ tab: "qk", title: "QK" })] },
  { cell: 2, title: "l1h2", circuits: [circuit({ scores: [{ name: "norm", value: "3", help: "" }] })] },
];
const view = { sign: 1 as const, explains: false, explained: () => {}, titled: true };
const locations = (went: number[] = []) => ({
  word: (cell: number) => `w${cell}`,
  name: (cell: number) => `cell ${cell}`,
  go: (cell: number) => went.push(cell),
});

describe("heads side by side", () => {
  it("stand in the same rows, also where one lacks a circuit", () => {
    const aligned = alignCircuits(heads);
    expect(aligned.map(({ title, circuits }) => [title, circuits.map(Boolean)])).toEqual([
      ["OV", [true, true]],
      ["QK", [true, false]],
    ]);
  });

  it("have the scores that all of them have, and no others", () => {
    const scored = (...scores: string[]) =>
      circuit({ scores: scores.map((text) => ({ name: text.split(" ")[0]!, value: text, help: "" })) });
    const rows = (...circuits: Parameters<typeof alignScores>[0]) =>
      alignScores(circuits).map(({ name, values }) => [name, ...values]);
    const deep = scored("top-1 99%", "norm 3");
    expect(rows(deep, scored("norm 4"))).toEqual([["norm", "norm 3", "norm 4"]]);
    expect(rows(deep, scored("top-1 1%", "norm 4"))).toEqual([
      ["top-1", "top-1 99%", "top-1 1%"],
      ["norm", "norm 3", "norm 4"],
    ]);
    // One that could not be read, or that a head does not have, hides nothing of the others.
    expect(rows(circuit({ scores: [], error: "NaN" }), scored("norm 4"), null)).toEqual([
      ["norm", "–", "norm 4", "–"],
    ]);
  });

  it("say when only the first of many are shown", () => {
    const seen = (n_heads: number) =>
      makeComparison({ heads, n_heads, summed: null, ln: "folded", pending: false }, view, locations())
        .map((node) => node.textContent)
        .join(" ");
    expect(seen(12)).toContain("The first 2 of 12 selected heads are shown.");
    expect(seen(2)).not.toContain("The first");
  });

  it("have one column each, which leads to its head", () => {
    const went: number[] = [];
    const [table] = makeComparison(
      { heads, n_heads: 2, summed: null, ln: "folded", pending: false },
      view,
      locations(went),
    );
    const columns = [...table!.querySelectorAll("thead button")] as HTMLElement[];
    expect(columns.map((node) => node.textContent)).toEqual(["l0h1", "l1h2"]);
    columns[1]!.click();
    expect(went).toEqual([2]);
    for (const row of table!.querySelectorAll("tbody tr")) {
      const span = [...row.children].reduce(
        (sum, cell) => sum + Number(cell.getAttribute("colspan") ?? 1),
        0,
      );
      expect(span).toBe(2);
    }
  });
});

describe("six heads where fewer fit", () => {
  const six = [0, 1, 2, 3, 4, 5].map((cell) => ({ cell, title: `l${cell}h0`, circuits: [circuit()] }));
  const all = { heads: six, n_heads: 6, summed: null, ln: "folded" as const, pending: false };

  it("stand in as few tables as that takes, of like width", () => {
    expect([1, 2, 3, 4, 5, 6, 9].map((fit) => columnsOf(6, fit))).toEqual([1, 2, 3, 3, 3, 6, 6]);
    expect([columnsOf(7, 3), columnsOf(5, 0), columnsOf(0, 0)]).toEqual([3, 1, 1]);
  });

  it("are all shown, each with its own values under its own name", () => {
    const tables = makeComparison(all, view, locations(), 4);
    const names = tables.map((table) =>
      [...table.querySelectorAll("thead th")].map((node) => node.textContent),
    );
    expect(names).toEqual([
      ["l0h0", "l1h0", "l2h0"],
      ["l3h0", "l4h0", "l5h0"],
    ]);
    for (const table of tables) expect(table.textContent!.match(/0\.98/g)).toHaveLength(3);
  });

  it("tell their spectra in words too", () => {
    const [table] = makeComparison(all, view, locations());
    const pictures = [...table!.querySelectorAll("[role=img]")].map((node) =>
      node.getAttribute("aria-label"),
    );
    expect(pictures).toEqual(Array(6).fill("singular values: 3, 4.00 to 1.00"));
  });
});

describe("the heads that one composes with", () => {
  const arrows = [arrow(5, 7, 8, "K"), arrow(7, 9, 6, "Q"), arrow(4, 7, 5, "V")];

  it("come before it or after it, strongest first", () => {
    const [earlier, later] = groupsOf(arrows, 7);
    expect(earlier.rows.map(({ other }) => other)).toEqual([5, 4]);
    expect(later.rows.map(({ other }) => other)).toEqual([9]);
  });

  it("are buttons that lead to them", () => {
    const went: number[] = [];
    const nodes = makeComposition(
      { arrows, baseline: 0.1, fence: null, notes: [], error: "" },
      7,
      locations(went),
    );
    const buttons = nodes.flatMap((node) => [...node.querySelectorAll("button")]);
    for (const button of buttons) button.click();
    expect(went).toEqual([5, 4, 9]);
    expect(buttons[0]!.title).toBe("cell 5");
  });

  it("stand on one axis of z, with zero and the fence on it, whatever came out infinite", () => {
    const axis = zAxisOf([arrow(1, 2, -2), arrow(1, 3, 8), arrow(1, 4, Number.POSITIVE_INFINITY)], 4);
    const [low, zero, fence, high] = [-2, 0, 4, 8].map((z) => axis.at(z)) as [number, number, number, number];
    expect([low > 0, zero - low, high - fence, high < 100]).toEqual([
      true,
      expect.closeTo((fence - zero) / 2),
      expect.closeTo(fence - zero),
      true,
    ]);
    const nodes = makeComposition({ arrows, baseline: 0.1, fence: 6, notes: [], error: "" }, 7, locations());
    const names = nodes.flatMap((node) => [...node.querySelectorAll(".hg-z-names")]);
    expect(names[0]!.textContent).toBe("randomoutlier");
    expect(nodes.at(-1)!.textContent).toContain("beyond 6.00 a pair is an outlier among these");
  });

  it("are gray unless they are outliers, below what z does not say", () => {
    const grays = (fence: number | null) => {
      const partners = { arrows, baseline: 0.1, fence, notes: ["z is not use.", "rotary"], error: "" };
      const [lead, ...nodes] = makeComposition(partners, 7, locations());
      expect(lead!.textContent).toBe("z is not use.");
      expect(nodes.at(-1)!.textContent).toBe("rotary");
      const rows = nodes.flatMap((node) => [...node.querySelectorAll("tbody tr")]);
      return rows.map((row) => row.className);
    };
    expect(grays(6)).toEqual(["", "hg-plain", "hg-plain"]);
    expect(grays(null)).toEqual(["hg-plain", "hg-plain", "hg-plain"]);
  });

  it("give way to the reason why there are none", () => {
    const nodes = makeComposition(
      { arrows: [], baseline: 0, fence: null, notes: [], error: "NaN in W_O." },
      7,
      locations(),
    );
    expect(nodes.map((node) => node.textContent)).toEqual(["NaN in W_O."]);
  });
});
