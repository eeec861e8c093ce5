import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Subject } from "../src/inspector";
import * as panel from "../src/panel";
import { makePanelHost, moduleOf, type PanelModule } from "../src/panelhost";
import { newView } from "../src/view";
import { arrow, summary } from "./fixtures";
import { small } from "./plans";

const SOURCE = "the second module";
const module: PanelModule = { ...panel, css: ".headgrid .only-a-test {}" };

const subject = (more: Partial<Subject> = {}): Subject => ({
  asked: { title: "l0h1", name: "layer 0 head 1" },
  summary: summary(),
  comparison: null,
  note: "",
  ln: "folded",
  hasNorms: true,
  live: true,
  hasBoth: false,
  ...more,
});
const nobody = subject({ asked: null, summary: null });

function hostOf(load: (source: string) => Promise<PanelModule> = async () => module) {
  const said: string[] = [];
  const asked: string[] = [];
  const life = new AbortController();
  const events = {
    word: String,
    name: String,
    go: () => {},
    normed: () => {},
    say: (s: string) => said.push(s),
  };
  const view = newView(small(), "");
  const host = makePanelHost(view.panel, events, life.signal, (source) => {
    asked.push(source);
    return load(source);
  });
  document.body.replaceChildren(host.element);
  const text = () => host.element.querySelector(".hg-inspector")!.textContent!;
  return { ...host, view, said, asked, life, text };
}
/** Until everything that waits for a promise has run. */
const settle = () => new Promise((done) => setTimeout(done));

describe("the inspector's place", () => {
  let host: ReturnType<typeof hostOf>;
  beforeEach(() => {
    host = hostOf();
  });

  it("says what a click does, and asks for no code before it is there", () => {
    host.update(nobody, "");
    expect(host.text()).toContain("Click a cell");
    expect(host.asked).toEqual([]);
  });

  it("names the cell while its code is on the way, and is the inspector once it is there", async () => {
    host.update(subject({ summary: null }), "");
    expect(host.text()).toBe("l0h1layer 0 head 1Reading the weights\u2026");
    host.update(subject({ summary: null }), SOURCE);
    await settle();
    expect(host.element.querySelectorAll("[role=group]")).toHaveLength(1);
    host.update(subject(), SOURCE);
    expect(host.element.querySelectorAll("[role=tab]").length).toBeGreaterThan(1);
  });

  it("shows the latest of what came meanwhile, and loads once", async () => {
    host.update(nobody, SOURCE);
    host.update(subject({ asked: { title: "l1h0", name: "layer 1 head 0" }, summary: null }), SOURCE);
    host.update(subject({ asked: { title: "l1h2", name: "layer 1 head 2" } }), SOURCE);
    await settle();
    expect(host.text()).toContain("layer 1 head 2");
    expect(host.text()).not.toContain("layer 1 head 0");
    expect(host.asked).toEqual([SOURCE]);
  });

  it("brings its style sheet into the view itself, where a shadow root has it too", async () => {
    host.update(subject(), SOURCE);
    await settle();
    expect(host.element.querySelector("style")!.textContent).toBe(module.css);
  });

  it("does nothing in a view that was closed meanwhile", async () => {
    host.update(subject(), SOURCE);
    host.life.abort();
    await settle();
    expect(host.element.querySelector("style, [role=tab]")).toBeNull();
  });

  it("says what happened when the code cannot be loaded", async () => {
    const broken = hostOf(async () => {
      throw new Error("refused by the page");
    });
    broken.update(subject(), SOURCE);
    await settle();
    expect(broken.text()).toContain("could not be loaded");
    expect(broken.text()).toContain("refused by the page");
    expect(broken.said).toHaveLength(1);
    broken.update(nobody, SOURCE);
    expect(broken.text()).toContain("refused by the page");
    expect(broken.asked).toHaveLength(1);
    // Help and pictures come with it: whoever asks for them is told why nothing comes.
    broken.late(() => {});
    expect(broken.said).toHaveLength(2);
  });

  it("says so when the code is not an inspector", async () => {
    const other = hostOf(async () => ({}) as PanelModule);
    other.update(subject(), SOURCE);
    await settle();
    expect(other.text()).toContain("could not be loaded");
  });

  it("says without a kernel that nothing more can be read", () => {
    host.update({ ...nobody, live: false }, "");
    expect(host.text()).toContain("There is no kernel");
  });

  it("holds the row of the arrows, with the arrows that came before it", async () => {
    const changed = vi.fn();
    const bar = host.arrowBar(host.view.arrows, changed);
    bar.update([arrow(1, 5, 6), arrow(0, 5, 2)], small());
    expect(bar.element.children).toHaveLength(0);
    host.update(subject(), SOURCE);
    await settle();
    expect(bar.element.textContent).toContain("1 of 2");
    bar.update([], small());
    expect((bar.element.firstChild as HTMLElement).hidden).toBe(true);
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
