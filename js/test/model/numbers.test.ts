import { describe, expect, it } from "vitest";
import { short, thousands } from "../../src/model/numbers";

describe("whole numbers", () => {
  it("have their thousands apart", () => {
    const said = [0, 999, 1000, 405_853_388_800, -1000, -100].map(thousands);
    expect(said).toEqual(["0", "999", "1,000", "405,853,388,800", "-1,000", "-100"]);
  });
});

describe("numbers", () => {
  it("have three digits", () => {
    expect([4, 12.34, 0.98, 0.01234, 123.4, 12345].map(short)).toEqual([
      "4.00",
      "12.3",
      "0.980",
      "0.0123",
      "123",
      "12,345",
    ]);
  });

  it("have a real minus, also in the exponent", () => {
    expect(short(-0.5)).toBe("−0.500");
    expect(short(-0.000012)).toBe("−1.2e−5");
  });

  it("are a dash where there is none", () => {
    expect([Number.NaN, Number.POSITIVE_INFINITY].map(short)).toEqual(["–", "–"]);
    expect(short(0)).toBe("0");
  });
});
