import { describe, expect, test } from "vitest";
import { drawAll, modelOf, readOnlyModel, stateOf } from "../../src/export/offline";
import { VERSION } from "../../src/model/wire";
import { specOf, text } from "../specs";

const saved = (state: object, buffers: object[] = []) => ({ state, buffers }) as never;

describe("the state of a page without a kernel", () => {
  test("has its bytes back in their places, however deep", () => {
    const whole = stateOf(
      saved({ cells: null, spec: { model: "m", absent: null }, list: [{ at: null }] }, [
        { path: ["cells"], encoding: "base64", data: "AQID" },
        { path: ["spec", "absent"], encoding: "base64", data: "/w==" },
        { path: ["list", 0, "at"], encoding: "base64", data: "" },
      ]),
    );
    const bytes = (view: unknown) => [...new Uint8Array((view as DataView).buffer)];
    expect(bytes(whole.cells)).toEqual([1, 2, 3]);
    expect((whole.spec as { model: string }).model).toBe("m");
    expect(bytes((whole.spec as { absent: unknown }).absent)).toEqual([255]);
    expect(bytes((whole.list as { at: unknown }[])[0]!.at)).toEqual([]);
  });

  test("is not spoilt by a buffer of a value that is gone", () => {
    const whole = stateOf(saved({ colors: null }, [{ path: ["colors", "values"], data: "AQ==" }]));
    expect(whole).toEqual({ colors: null });
  });

  test("is answered from by the page itself, unless another version of headgrid left it", () => {
    expect(modelOf({ spec: { version: VERSION - 1 } }).isPage).toBeUndefined();
    expect(modelOf({ spec: specOf(1, 2), text: text() }).isPage).toBe(true);
  });

  test("is read and never written", () => {
    const model = readOnlyModel({ cells: 1 });
    model.set("cells", 2);
    model.save_changes();
    expect(model.get("cells")).toBe(1);
  });
});

function pageOf(states: object, ...ids: string[]): HTMLElement {
  const page = document.createElement("div");
  const script = document.createElement("script");
  script.type = "application/vnd.jupyter.widget-state+json";
  script.textContent = JSON.stringify({ state: states });
  page.append(script);
  for (const id of ids) {
    const mount = document.createElement("div");
    mount.dataset.headgrid = id;
    mount.textContent = "picture";
    page.append(mount);
  }
  return page;
}

describe("a page without a kernel", () => {
  test("draws each widget at its mount point, with its own state, marked as without a kernel", async () => {
    const page = pageOf(
      { a: { state: { _esm: "one", name: "A" } }, b: { state: { _esm: "one", name: "B" } } },
      "b",
      "a",
      "b",
    );
    await drawAll(page, async () => ({
      render: ({ model, el }) => el.append(String(model.get("name"))),
    }));
    const drawn = [...page.querySelectorAll(".jupyter-widgets-disconnected")];
    expect(drawn.map((el) => el.textContent)).toEqual(["B", "A", "B"]);
  });

  test("keeps the picture and says why where a widget cannot be drawn, and draws the others", async () => {
    const page = pageOf({ a: { state: { _esm: "bad" } }, b: { state: { _esm: "good" } } }, "a", "gone", "b");
    await drawAll(page, async (source) => ({
      render: ({ el }) => {
        if (source === "bad") throw new Error("<b>no</b>");
        el.append("drawn");
      },
    }));
    const texts = [...page.querySelectorAll("[data-headgrid]")].map((mount) => mount.textContent);
    expect(texts[0]).toMatch(/^pictureThis is a picture, .*<b>no<\/b>$/);
    expect(texts[1]).toMatch(/^picture.*its state is not in this page$/);
    expect(texts[2]).toBe("drawnpicture");
  });
});
