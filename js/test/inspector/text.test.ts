import { describe, expect, it } from "vitest";
import { textOfCircuit, textOfComparison, textOfLocations, textOfPartners } from "../../src/inspector/text";
import { arrow, circuit, direction, summary } from "../fixtures";

describe("what is copied", () => {
  it("has both signs of every direction, with the tokens quoted", () => {
    const lines = textOfCircuit(circuit()).split("\n");
    expect(lines).toContain("copying score\t0.98");
    expect(lines).toContain("direction\tsingular value\tunclear\treads +\treads −\twrites +\twrites −");
    expect(lines).toContain('1\t4\t\t" the" "\\n"\t"not the" "not\\n"\t"a"\t"nota"');
    expect(lines).toContain('2\t2\tunclear\t" the" "\\n"\t"not the" "not\\n"\t"a"\t"nota"');
    expect(lines).toContain("singular values\t4\t2\t1");
  });

  it("leaves out the side that a circuit lacks", () => {
    const text = textOfCircuit(circuit({ right: "", directions: [direction(1, { right: null })] }));
    expect(text).toContain("reads +\treads −\n");
    expect(text).not.toContain("writes");
  });

  it("has pairs, distances and notes where there are any, and the error where there is nothing else", () => {
    const pairs = [{ source: "a\tb", target: " c", value: 1.25 }];
    const text = textOfCircuit(
      circuit({ pairs, pairs_title: "from and to", offsets: [0.5, -1], notes: ["so"] }),
    );
    expect(text).toContain('from and to\n"a\\tb"\t" c"\t1.25');
    expect(text).toContain("score by distance\t0.5\t-1");
    expect(text.endsWith("\n\nso")).toBe(true);
    const none = circuit({ error: "No unembedding.", scores: [], spectrum: [], directions: [] });
    expect(textOfCircuit(none)).toBe("OV\nNo unembedding.");
  });

  it("names both ends of every arrow", () => {
    const partners = {
      arrows: [arrow(1, 2, 3.5)],
      baseline: 0.1,
      fence: null,
      notes: ["z is not use."],
      error: "",
    };
    expect(textOfPartners(partners, (cell) => `h${cell}`)).toBe(
      "kind\tfrom\tto\tvalue\tz\nK\th1\th2\t0.135\t3.5\nrandom orientations\t\t\t0.1\t\nz is not use.",
    );
  });

  it("has the locations of the weights, and each head of a comparison by its name", () => {
    expect(textOfLocations(summary().locations)).toContain("W_Q\th.0.q.weight\t[:, 0:2]\t6 x 2\t12");
    const heads = [{ cell: 1, title: "l0h1", circuits: [circuit()] }];
    const summed = circuit({ title: "l0h1 + l1h2" });
    const text = textOfComparison({ heads, n_heads: 2, summed, ln: "raw", pending: false });
    expect(text.match(/^l0h1.*/gm)).toEqual(["l0h1 OV", "l0h1 + l1h2"]);
  });
});
