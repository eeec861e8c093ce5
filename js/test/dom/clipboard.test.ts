import { expect, it, vi } from "vitest";
import { copyFrom } from "../../src/dom/clipboard";

it("copies, and says so on the button for a while", async () => {
  vi.useFakeTimers();
  const said: string[] = [];
  const written = vi.fn(async () => {});
  vi.stubGlobal("navigator", { clipboard: { writeText: written } });
  const button = document.createElement("button");
  button.textContent = "Copy";
  const copy = (text: string) => copyFrom(button, text, (sentence) => said.push(sentence));
  void copy("l0h0");
  await vi.advanceTimersByTimeAsync(100);
  void copy("l0h1");
  await vi.advanceTimersByTimeAsync(1450);
  expect([button.textContent, said]).toEqual(["Copied", ["copied", "copied"]]);
  await vi.advanceTimersByTimeAsync(100);
  expect([button.textContent, written.mock.calls]).toEqual(["Copy", [["l0h0"], ["l0h1"]]]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
