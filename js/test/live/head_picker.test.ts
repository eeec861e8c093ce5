import { describe, expect, it } from "vitest";
import { makeHeadPicker } from "../../src/live/head_picker";
import type { Pattern } from "../../src/live/patterns";

const patternOf = (cell: number, title: string): Pattern =>
  ({
    cell,
    title,
    queries: 1,
    keys: 1,
    triangle: true,
    bytes: new Uint8Array([255]),
    scores: [],
  }) as unknown as Pattern;

describe("the heads side by side", () => {
  it("keep their buttons when an answer comes again, so that no click is lost between press and release", () => {
    const picker = makeHeadPicker(() => {}, new AbortController().signal);
    const buttons = () => [...picker.element.querySelectorAll("button")];
    const first = [patternOf(3, "l0h1"), patternOf(7, "l1h2"), patternOf(-1, "")];
    picker.update(first, first[0]!, 2, null);
    const before = buttons();
    const again = [patternOf(3, "l0h1"), patternOf(7, "l1h2"), patternOf(-1, "")];
    picker.update(again, again[2]!, 2, null);
    expect(buttons()).toEqual(before);
    expect(buttons().every((node, k) => node === before[k])).toBe(true);
    expect(buttons().map((node) => node.getAttribute("aria-pressed"))).toEqual(["false", "false", "true"]);
    picker.update([again[1]!, patternOf(5, "l1h0"), again[2]!], again[1]!, 2, null);
    expect(buttons()[0]).toBe(before[1]);
    expect(buttons()[2]).toBe(before[2]);
    expect(buttons().map((node) => node.textContent)).toEqual(["l1h2", "l1h0", "average"]);
  });
});
