import { describe, expect, it } from "vitest";
import { slide } from "../src/layer";

describe("the window of accessible cells", () => {
  it("holds a small grid as a whole", () => {
    for (const at of [0, 3, 6]) expect(slide(0, at, 18, 7)).toBe(0);
  });

  it("stays while the cursor is well inside, and follows it at the edge", () => {
    expect(slide(10, 20, 18, 126)).toBe(10);
    expect(slide(10, 27, 18, 126)).toBe(18);
    expect(slide(110, 125, 18, 126)).toBe(108);
  });
});
