import { beforeEach, describe, expect, it, vi } from "vitest";
import { make } from "../../src/chrome/dom";
import type { Extras } from "../../src/chrome/extras";
import * as panel from "../../src/chrome/panel";
import { makePanelHost, moduleOf, type PanelModule } from "../../src/chrome/panelhost";
import { small } from "../specs";

const SOURCE = "the second module";
const module: PanelModule = { ...panel, css: ".headgrid .only-a-test {}" };
const cells = small();
const NOBODY = -1;
const L0H1 = 4;

function hostOf(load: (source: string) => Promise<PanelModule> = async () => module) {
  const said: string[] = [];
  const asked: string[] = [];
  const life = new AbortController();
  const extras = { element: make("div", { class: "hg-inspector" }, "the inspector"), update: vi.fn() };
  /** Whether the style sheet was there when the rest came. */
  let styled = false;
  const begin = () => {
    styled = host.element.querySelector("style") !== null;
    return extras as unknown as Extras;
  };
  const host = makePanelHost(
    begin,
    (sentence) => said.push(sentence),
    life.signal,
    (source) => {
      asked.push(source);
      return load(source);
    },
  );
  document.body.replaceChildren(host.element);
  const text = () => host.element.querySelector(".hg-inspector")!.textContent!;
  const update = (cell = NOBODY, source = "", live = true) => host.update(cells, cell, live, source);
  return { host, came: extras, said, asked, life, text, update, styled: () => styled };
}
/** Until everything that waits for a promise has run. */
const settle = () => new Promise((done) => setTimeout(done));

describe("the inspector's place", () => {
  let made: ReturnType<typeof hostOf>;
  beforeEach(() => {
    made = hostOf();
  });

  it("says what a click does, and asks for no code before it is there", () => {
    made.update();
    expect(made.text()).toContain("Click a cell");
    expect(made.asked).toEqual([]);
  });

  it("names the cell while its code is on the way, and is the inspector once it is there", async () => {
    made.update(L0H1);
    expect(made.text()).toBe("l0h1layer 0 head 1Reading the weights\u2026");
    made.update(L0H1, SOURCE);
    expect(made.host.extras()).toBeNull();
    await settle();
    expect(made.text()).toBe("the inspector");
    expect(made.host.element.querySelectorAll(".hg-inspector")).toHaveLength(1);
    expect([made.host.extras(), made.came.update.mock.calls.length]).toEqual([made.came, 1]);
  });

  it("loads once, whatever is asked for meanwhile", async () => {
    made.update(NOBODY, SOURCE);
    made.update(L0H1, SOURCE);
    await settle();
    made.update(L0H1, SOURCE);
    expect(made.asked).toEqual([SOURCE]);
  });

  it("runs what waits for it in its order, and later at once", async () => {
    const ran: string[] = [];
    made.host.late(() => ran.push("first"));
    made.host.late(() => ran.push("second"));
    made.update(NOBODY, SOURCE);
    expect(ran).toEqual([]);
    await settle();
    expect(ran).toEqual(["first", "second"]);
    made.host.late((extras) => ran.push(extras.element.textContent!));
    expect(ran).toEqual(["first", "second", "the inspector"]);
  });

  it("brings its style sheet into the view itself, where a shadow root has it too, and first", async () => {
    made.update(L0H1, SOURCE);
    await settle();
    expect(made.host.element.querySelector("style")!.textContent).toBe(module.css);
    expect(made.styled()).toBe(true);
  });

  it("does nothing in a view that was closed meanwhile", async () => {
    made.update(L0H1, SOURCE);
    made.life.abort();
    await settle();
    expect(made.host.element.querySelector("style")).toBeNull();
    expect(made.host.extras()).toBeNull();
  });

  it("says what happened when the code cannot be loaded", async () => {
    const broken = hostOf(async () => {
      throw new Error("refused by the page");
    });
    broken.update(L0H1, SOURCE);
    await settle();
    expect(broken.text()).toContain("could not be loaded");
    expect(broken.text()).toContain("refused by the page");
    expect(broken.said).toHaveLength(1);
    broken.update(NOBODY, SOURCE);
    expect(broken.text()).toContain("refused by the page");
    expect(broken.asked).toHaveLength(1);
    // Help and pictures come with it: whoever asks for them is told why nothing comes.
    broken.host.late(() => {});
    expect(broken.said).toHaveLength(2);
  });

  it("says so when the code is not an inspector", async () => {
    const other = hostOf(async () => ({}) as PanelModule);
    other.update(L0H1, SOURCE);
    await settle();
    expect(other.text()).toContain("could not be loaded");
  });

  it("says without a kernel that nothing more can be read", () => {
    made.update(NOBODY, "", false);
    expect(made.text()).toContain("There is no kernel");
  });
});

describe("one source", () => {
  it("is one module, however many views ask for it", async () => {
    const load = vi.fn(async () => module);
    const modules = await Promise.all([1, 2, 3].map(() => moduleOf("export {}; // the same", load)));
    expect(new Set(modules).size).toBe(1);
    expect(load).toHaveBeenCalledTimes(1);
    await moduleOf("export {}; // another", load);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("is read from a data address where the page refuses blobs", async () => {
    const urls: string[] = [];
    const revoked = vi.spyOn(URL, "revokeObjectURL");
    await moduleOf('export const a = "50% #1";', async (url) => {
      urls.push(url);
      if (url.startsWith("blob:")) throw new TypeError("refused");
      return module;
    });
    expect(urls[0]).toMatch(/^blob:/);
    expect(decodeURIComponent(urls[1]!)).toBe('data:text/javascript,export const a = "50% #1";');
    expect(revoked).toHaveBeenCalledWith(urls[0]);
  });

  it("is refused with the page's own words, and without its whole text", async () => {
    const refused = moduleOf("export {}; // a third", async (url) => {
      throw new TypeError(`refused: ${url}`);
    });
    await expect(refused).rejects.toThrow(/^refused: blob:/);
  });
});
