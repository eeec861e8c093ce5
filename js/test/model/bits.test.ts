import { describe, expect, it } from "vitest";
import { toWire } from "../../dev/bytes";
import { assign, count, empty, fromText, fromWire, full, has, toText } from "../../src/model/bits";

describe("bits", () => {
  it("are read from a view that starts inside of its buffer", () => {
    const view = new DataView(new Uint8Array([255, 0b00000100, 0b00000001, 255]).buffer, 1, 2);
    const bits = fromWire(view, 9);
    expect([has(bits, 0), has(bits, 2), has(bits, 8)]).toEqual([false, true, true]);
    expect(count(bits)).toBe(2);
  });

  it("are read from whatever a host hands over", () => {
    const bytes = new Uint8Array([0b101]);
    for (const value of [bytes, bytes.buffer, new DataView(bytes.buffer)])
      expect(count(fromWire(value, 3))).toBe(2);
    for (const value of [undefined, null, "", {}]) expect(count(fromWire(value, 3))).toBe(0);
  });

  it("drop what lies beyond the last cell", () => {
    expect(count(fromWire(new Uint8Array([255, 255, 255]), 11))).toBe(11);
  });

  it("are all on, and no cell more", () => {
    expect([...full(11)]).toEqual([255, 7]);
    expect(count(full(16))).toBe(16);
  });

  it("are text and back, as Python's base64 has it", () => {
    expect(toText(empty(0))).toBe("");
    expect(toText(fromWire(new Uint8Array([0, 8, 0, 1, 0]), 40))).toBe("1:CAAB");
    const all = full(16128);
    expect(fromText(toText(all), 16128)).toEqual(all);
    expect([...fromText("1:/w==", 20)]).toEqual([0, 255, 0]);
    expect(fromText("", 9)).toEqual(empty(9));
  });

  it("are never changed in place", () => {
    const before = empty(11);
    const after = assign(before, [10], true);
    expect(count(before)).toBe(0);
    const sent = toWire(after);
    after[1] = 0;
    expect(sent.getUint8(1)).toBe(0b100);
  });
});
