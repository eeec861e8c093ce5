import { describe, expect, it } from "vitest";
import { button, make } from "../../src/dom/elements";
import { makeMenu } from "../../src/dom/menu";

function menuOf() {
  const { signal } = new AbortController();
  const did: string[] = [];
  const opener = button("…", { "aria-label": "Save a picture" }, () => toggle(), signal);
  const element = make("span", {}, opener);
  const toggle = makeMenu(
    opener,
    [
      ["PNG image", () => did.push("png")],
      ["SVG drawing", () => did.push("svg")],
    ],
    signal,
  );
  document.body.replaceChildren(element, make("button", { id: "elsewhere" }));
  const [png, svg] = [...element.querySelectorAll<HTMLElement>("[role=menuitem]")];
  const press = (node: Element, key: string) =>
    node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  return {
    did,
    opener,
    element,
    list: element.querySelector<HTMLElement>("[role=menu]")!,
    png: png!,
    svg: svg!,
    press,
  };
}

describe("a menu", () => {
  it("is closed until its button is pressed, and then has the focus", () => {
    const { opener, list, png } = menuOf();
    expect(list.hidden).toBe(true);
    opener.click();
    expect([opener.getAttribute("aria-expanded"), list.hidden, document.activeElement]).toEqual([
      "true",
      false,
      png,
    ]);
    opener.click();
    expect([opener.getAttribute("aria-expanded"), list.hidden, document.activeElement]).toEqual([
      "false",
      true,
      opener,
    ]);
  });

  it("is walked by arrow keys, and closed by Escape", () => {
    const { opener, list, png, svg, press } = menuOf();
    opener.click();
    press(png, "ArrowUp");
    expect(document.activeElement).toBe(svg);
    press(svg, "ArrowDown");
    expect(document.activeElement).toBe(png);
    press(png, "Escape");
    expect([list.hidden, document.activeElement]).toEqual([true, opener]);
  });

  it("does what was chosen, and closes", () => {
    const { did, opener, list, svg } = menuOf();
    opener.click();
    svg.click();
    expect([did, list.hidden, document.activeElement]).toEqual([["svg"], true, opener]);
  });

  it("closes when the focus goes elsewhere", () => {
    const { opener, list } = menuOf();
    opener.click();
    document.getElementById("elsewhere")!.focus();
    expect([list.hidden, opener.getAttribute("aria-expanded")]).toEqual([true, "false"]);
  });
});
