import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeCopyMenu, masksOf, pythonOf } from "../../src/export/copy_menu";
import { Sync } from "../../src/model/sync";
import { Host } from "../host";
import { specOf } from "../specs";

const settled = () => new Promise((done) => setTimeout(done));

function menuOf() {
  const host = new Host({ spec: specOf(2, 3), code_query: { n: 4, library: "torch" } });
  const said: string[] = [];
  const menu = makeCopyMenu(
    new Sync(host).code,
    (sentence) => said.push(sentence),
    new AbortController().signal,
  );
  document.body.replaceChildren(menu.element);
  menu.update("l0h1 | l1h2", true);
  const items = () =>
    [...menu.element.querySelectorAll<HTMLButtonElement>("[role=menuitem]")].filter((item) => !item.hidden);
  return {
    ...menu,
    host,
    said,
    opener: menu.element.querySelector("button")!,
    error: menu.element.querySelector("[role=alert]")!,
    items,
    choose(label: string) {
      this.opener.click();
      items()
        .find((item) => item.textContent === label)!
        .click();
      return settled();
    },
  };
}

describe("the copy menu", () => {
  let copied: string[] = [];
  let allowed = true;
  beforeEach(() => {
    copied = [];
    allowed = true;
    vi.stubGlobal("navigator", {
      clipboard: {
        writeText: async (text: string) => {
          if (!allowed) throw new Error("no");
          copied.push(text);
        },
      },
    });
    document.execCommand = () => false;
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("copies text, a line of Python and the masks at once, and says which", async () => {
    const menu = menuOf();
    for (const label of ["Text", "Python", "Masks"]) await menu.choose(label);
    expect(copied).toEqual([
      "l0h1 | l1h2",
      'grid.select("l0h1 | l1h2")',
      'masks = grid.anatomy.select("l0h1 | l1h2").masks()',
    ]);
    expect(menu.said).toEqual([
      "text copied",
      "a line of Python copied",
      "a line of Python for its masks copied",
    ]);
    expect(menu.opener.textContent).toBe("Copied");
  });

  it("asks Python for code, and copies the answer to its own question alone", async () => {
    const menu = menuOf();
    await menu.choose("Code for TransformerLens");
    expect(menu.host.state.code_query).toEqual({ n: 5, library: "transformer_lens" });
    expect(menu.opener.textContent).toBe("Writing…");
    const answer = { library: "transformer_lens", selection: "l0h1 | l1h2", text: "import torch", error: "" };
    menu.host.tell("code", { ...answer, query: 4 });
    menu.answered();
    await settled();
    expect(copied).toEqual([]);
    menu.host.tell("code", { ...answer, query: 5 });
    menu.answered();
    menu.answered();
    await settled();
    expect(copied).toEqual(["import torch"]);
    expect(menu.said).toEqual(["code for TransformerLens, of l0h1 | l1h2, copied"]);
  });

  it("says why there is no code, until something else is done", async () => {
    const menu = menuOf();
    await menu.choose("Code for causalab");
    menu.host.tell("code", {
      query: 5,
      library: "causalab",
      selection: "l0h1",
      text: "",
      error: "no such form.",
    });
    menu.answered();
    await settled();
    expect([menu.error.textContent, copied, menu.opener.textContent]).toEqual([
      "There is no such code: no such form.",
      [],
      "Copy",
    ]);
    menu.opener.click();
    expect(menu.error.textContent).toBe("");
  });

  it("asks to be used once more where the browser lets nothing be copied so late, and then copies at once", async () => {
    const menu = menuOf();
    await menu.choose("Code for PyTorch");
    allowed = false;
    menu.host.tell("code", {
      query: 5,
      library: "torch",
      selection: "l0h1 | l1h2",
      text: "x = 1",
      error: "",
    });
    menu.answered();
    await vi.waitFor(() => expect(menu.error.textContent).toContain("once more"));
    allowed = true;
    await menu.choose("Code for PyTorch");
    expect([copied, menu.host.state.code_query]).toEqual([["x = 1"], { n: 5, library: "torch" }]);
    menu.update("l0h1", true);
    await menu.choose("Code for PyTorch");
    expect(menu.host.state.code_query).toEqual({ n: 6, library: "torch" });
  });

  it("has no code without a kernel, and nothing at all where nothing is selected", () => {
    const menu = menuOf();
    menu.opener.click();
    expect(menu.items().length).toBe(8);
    menu.opener.click();
    menu.update("l0h1", false);
    menu.opener.click();
    expect(menu.items().map((item) => item.textContent)).toEqual(["Text", "Python", "Masks"]);
    menu.items()[0]!.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
    expect(document.activeElement!.textContent).toBe("Masks");
    menu.opener.click();
    menu.update("none", true);
    menu.opener.focus();
    menu.opener.click();
    expect(menu.element.querySelector("[role=menu]")!.hasAttribute("hidden")).toBe(true);
    expect([menu.opener.getAttribute("aria-disabled"), menu.opener.disabled]).toEqual(["true", false]);
  });
});

describe("the copied lines of Python", () => {
  it("are quoted so that Python reads the same text", () => {
    expect(pythonOf("l1h2 | l0 mlp")).toBe('grid.select("l1h2 | l0 mlp")');
    expect(masksOf('a"b\\c')).toBe('masks = grid.anatomy.select("a\\"b\\\\c").masks()');
  });
});
