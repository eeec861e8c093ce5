import { describe, expect, it } from "vitest";
import { make } from "../../src/dom/elements";
import { channels, luminance, themeBehind, themeSaid } from "../../src/dom/theme";

describe("the theme", () => {
  it("reads computed colors", () => {
    expect(channels("rgb(17, 19, 23)")).toEqual([17, 19, 23, 1]);
    expect(channels("rgba(0, 0, 0, 0)")?.[3]).toBe(0);
    expect(channels("color(srgb 1 1 1)")).toEqual([255, 255, 255, 1]);
    expect(channels("transparent")).toBeNull();
  });

  it("tells dark from light by luminance", () => {
    expect(luminance([17, 17, 17])).toBeLessThan(0.18);
    expect(luminance([255, 255, 255])).toBeCloseTo(1);
  });

  it("reads what hosts say of their theme", () => {
    const said = (attributes: Record<string, string>) => themeSaid(make("div", attributes));
    expect(said({ class: "vscode-dark notebook" })).toBe("dark");
    expect(said({ class: "vscode-high-contrast" })).toBe("dark");
    expect(said({ class: "vscode-high-contrast vscode-high-contrast-light" })).toBe("light");
    expect(said({ "data-vscode-theme-kind": "vscode-high-contrast-light" })).toBe("light");
    expect(said({ theme: "dark" })).toBe("dark");
    expect(said({ class: "darker moonlight" })).toBeNull();
    expect(said({ class: "light dark" })).toBeNull();
    expect(said({ id: "dark" })).toBeNull();
  });

  it("believes what is painted behind before what is said", () => {
    const inner = make("div");
    document.body.append(
      make("div", { class: "dark", style: "background-color: rgb(255, 255, 255)" }, inner),
    );
    expect(themeBehind(inner)).toBe("light");
  });
});
