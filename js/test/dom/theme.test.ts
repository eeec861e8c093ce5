import { describe, expect, it, vi } from "vitest";
import { make } from "../../src/dom/elements";
import { channels, codedTheme, followTheme, luminance, themeBehind, themeSaid } from "../../src/dom/theme";

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

  it("believes VS Code, whose frames are transparent, by its classes and by its variable", async () => {
    const inner = make("div");
    document.body.replaceChildren(inner);
    const { body, documentElement } = document;
    const seen: string[] = [];
    for (const name of ["vscode-dark", "vscode-light", "vscode-high-contrast"]) {
      body.className = `vscode-body ${name}`;
      seen.push(themeBehind(inner));
    }
    // It has both names: the lighter one tells.
    body.className = "vscode-high-contrast vscode-high-contrast-light";
    seen.push(themeBehind(inner));
    expect(seen).toEqual(["dark", "light", "dark", "light"]);
    body.className = "";
    body.dataset.vscodeThemeKind = "vscode-dark";
    expect(codedTheme(body)).toBe("dark");
    delete body.dataset.vscodeThemeKind;
    documentElement.style.setProperty("--vscode-editor-background", "#1e1e1e");
    expect(themeBehind(inner)).toBe("dark");
    documentElement.style.setProperty("--vscode-editor-background", "#fff");
    expect(themeBehind(inner)).toBe("light");
    documentElement.style.removeProperty("--vscode-editor-background");
  });

  it("follows VS Code's theme when that is changed", async () => {
    const inner = make("div");
    document.body.replaceChildren(inner);
    const life = new AbortController();
    document.body.className = "vscode-light";
    followTheme(inner, life.signal, () => {})();
    expect(inner.dataset.theme).toBe("light");
    document.body.className = "vscode-dark";
    await vi.waitFor(() => expect(inner.dataset.theme).toBe("dark"));
    document.body.className = "";
    life.abort();
  });
});
