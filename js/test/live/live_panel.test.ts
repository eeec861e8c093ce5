import { describe, expect, it } from "vitest";
import { type LiveContent, makeLivePanel, scoresInOrder } from "../../src/live/live_panel";
import { effect, head, liveView } from "../fixtures";

const tokens = ["when", " mary", " to"];
const rows = [[1], [0.25, 0.75], [0.04, 0.6, 0.36]];
const one = head(4, "l0h1", rows, [
  { name: "previous token", value: 0.4, base: 0.1, against: "even attention" },
  { name: "induction", value: 0.89, base: 0.03, against: "shuffled tokens" },
]);
const other = head(9, "l1h1", [[1], [0.5, 0.5], [0.2, 0.2, 0.6]]);
const view = liveView(tokens, [one, other]);

const content = (more: Partial<LiveContent> = {}): LiveContent => ({
  ...{ view, isCurrent: true, hasText: true, isAsked: true, live: true, cell: 4, selection: "l0h1 | l1h2" },
  effect: effect({ text: "none" }),
  ...more,
});

function panelOf() {
  const panel = makeLivePanel(new AbortController().signal);
  document.body.replaceChildren(panel.element);
  const find = <T extends HTMLElement>(selector: string) => panel.element.querySelector<T>(selector)!;
  const heading = () => find("h4").textContent;
  const note = () => find(".hg-note").textContent;
  const heads = () => [...panel.element.querySelectorAll<HTMLElement>(".hg-head")];
  const chips = () => [...panel.element.querySelectorAll<HTMLElement>("[role=option]")];
  return { ...panel, find, heading, note, heads, chips, pattern: () => find(".hg-pattern") };
}

describe("the scores of known types", () => {
  it("come with what they are compared with, the one most above it first", () => {
    expect(scoresInOrder(one.scores)).toEqual([
      "induction 0.89 (shuffled tokens 0.03)",
      "previous token 0.40 (even attention 0.10)",
    ]);
  });
});

describe("the Live tab", () => {
  it("begins with the looked-at head at the last token", () => {
    const panel = panelOf();
    panel.update(content());
    expect([panel.heading(), panel.note()]).toEqual(["at ·to it looks at", ""]);
    expect(panel.find(".hg-keys-of").textContent).toContain("·mary60\u00a0%");
    expect(panel.find(".hg-type-scores").textContent).toContain("induction 0.89");
    expect(panel.heads().map((node) => node.textContent)).toEqual(["l0h1", "l1h1", "average"]);
  });

  it("makes another head big, and the average of all", () => {
    const panel = panelOf();
    panel.update(content());
    panel.heads()[1]!.click();
    expect(panel.find(".hg-pattern-head").textContent).toBe("l1h1");
    panel.heads()[2]!.click();
    expect(panel.heading()).toBe("at ·to they look at, on average");
    expect(panel.find(".hg-keys-of").textContent).toContain("·to48\u00a0%");
    expect(panel.heads().map((node) => node.getAttribute("aria-pressed"))).toEqual([
      "false",
      "false",
      "true",
    ]);
  });

  it("keeps a token that was clicked as the query, until it is clicked again or the text is another one", () => {
    const panel = panelOf();
    panel.update(content());
    panel.chips()[1]!.click();
    expect(panel.heading()).toBe("at ·mary it looks at");
    panel.update(content({ view: liveView(tokens, [other]) }));
    expect(panel.heading()).toBe("at ·mary it looks at");
    panel.chips()[1]!.click();
    expect(panel.heading()).toBe("at ·to it looks at");
    panel.chips()[0]!.click();
    panel.update(content({ view: liveView(["if", " mary", " to"], [one]) }));
    expect(panel.heading()).toBe("at ·to it looks at");
  });

  it("says the numbers of a token that the keys reach", () => {
    const panel = panelOf();
    panel.update(content());
    panel.chips()[2]!.focus();
    panel.chips()[2]!.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    expect(panel.find("[aria-live]").textContent).toBe(
      "l0h1 at mary, token 2 of 3: mary 75\u00a0%, when 25\u00a0%",
    );
  });

  it("leaves out the first token where that is wanted", () => {
    const panel = panelOf();
    panel.update(content());
    const box = panel.find<HTMLInputElement>("input[type=checkbox]");
    box.checked = true;
    box.dispatchEvent(new Event("change"));
    expect(panel.find(".hg-keys-of").textContent).not.toContain("when");
    expect(panel.find(".hg-map-legend").textContent).toBe("075\u00a0%");
  });

  it("keeps the last answer in sight while the next one is to come, and fades it", () => {
    const panel = panelOf();
    panel.update(content());
    panel.update(content({ view: null }));
    expect([panel.pattern().hidden, panel.note(), panel.element.className]).toEqual([
      ...[false, "", "hg-live-tab hg-stale"],
    ]);
    panel.update(content({ view: null, live: false }));
    expect(panel.note()).toBe("");
  });

  it("fades the last answer as long as the next one has no pattern, which comes before its numbers", () => {
    const panel = panelOf();
    panel.update(content());
    panel.update(content({ cell: 9, view: liveView(tokens, [], { pending: true }) }));
    expect([panel.find(".hg-pattern-head .hg-word").textContent, panel.element.className]).toEqual([
      "l0h1",
      "hg-live-tab hg-stale",
    ]);
    panel.update(content({ cell: 9, view: liveView(tokens, [other], { pending: true }) }));
    expect([panel.find(".hg-pattern-head .hg-word").textContent, panel.element.className]).toEqual([
      "",
      "hg-live-tab",
    ]);
  });

  it("says what to do where there is no text, no head, or no answer", () => {
    const panel = panelOf();
    panel.update(content({ view: null, hasText: false }));
    expect([panel.note(), panel.pattern().hidden]).toEqual([expect.stringContaining("Type a text"), true]);
    panel.update(content({ view: liveView(tokens) }));
    expect(panel.note()).toBe("Click a head, or select some, to see what they attend to.");
    panel.update(content({ view: null, isAsked: false }));
    expect(panel.note()).toContain("choose it again");
    panel.update(content({ view: null }));
    expect(panel.note()).toBe("Running the model…");
    panel.update(content({ view: liveView(tokens, [one], { error: "Out of memory." }) }));
    expect([panel.note(), panel.pattern().hidden]).toEqual(["Out of memory.", false]);
  });

  it("shows the keys of another text in a line of their own", () => {
    const panel = panelOf();
    const cross = {
      ...liveView(
        ["a", "b"],
        [
          head(4, "l0h1", [
            [0.1, 0.2, 0.7],
            [0.3, 0.3, 0.4],
          ]),
        ],
      ),
    };
    panel.update(content({ view: { ...cross, keys: ["x", "y", "z"], triangle: false } }));
    expect([...panel.element.querySelectorAll("[role=listitem]")].map((chip) => chip.textContent)).toEqual([
      ...["x", "y", "z"],
    ]);
    expect(panel.find(".hg-keys-of").firstChild!.textContent).toBe("z40\u00a0%");
  });

  it("shows the effect of the selection, and that it is one of another selection", () => {
    const panel = panelOf();
    panel.update(content({ effect: effect() }));
    expect(panel.find(".hg-effect").textContent).toContain("It stands out.");
    expect(panel.find(".hg-effect").className).not.toContain("hg-old");
    panel.update(content({ effect: effect(), selection: "l1h2" }));
    expect(panel.find(".hg-effect").className).toContain("hg-old");
    panel.update(content());
    expect(panel.find(".hg-effect").hidden).toBe(true);
  });

  it("is copied whole", () => {
    const panel = panelOf();
    panel.update(content({ effect: effect() }));
    expect(panel.text().split("\n\n").length).toBe(3);
    expect(panel.text()).toContain("·mary\t0.25\t0.75");
  });
});
