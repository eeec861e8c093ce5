/** The switch between a model's stacks. Each tab tells how much is selected in its stack, also when it is not shown. */
import { freshId, make, OWN_KEYS, setText } from "./dom";
import { type Tally, tallyText } from "./stacks";
import type { StackTab } from "./wire";

export interface Tabs {
  element: HTMLElement;
  /** The tabs, the name of the one that is shown, and each one's tally; without tabs nothing is there to see. */
  update(tabs: readonly StackTab[], shown: string, tallies: readonly Tally[]): void;
}

/** Which of `count` tabs a key goes to from tab `at`; null for a key that goes to none. */
export function tabFor(key: string, at: number, count: number): number | null {
  if (key === "ArrowRight") return (at + 1) % count;
  if (key === "ArrowLeft") return (at + count - 1) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

interface Tab {
  node: HTMLButtonElement;
  count: HTMLElement;
}

export function makeTabs(panel: HTMLElement, show: (stack: string) => void, signal: AbortSignal): Tabs {
  const id = freshId();
  panel.id = `${id}-panel`;
  const element = make("div", { class: "hg-tabs", role: "tablist", "aria-label": "Stacks", hidden: true });
  let drawn: readonly StackTab[] = [];
  let nodes: Tab[] = [];

  const build = (tabs: readonly StackTab[]) => {
    drawn = tabs;
    nodes = tabs.map(({ name, label }, k) => {
      const count = make("span", { class: "hg-count", "aria-hidden": "true" });
      const node = make(
        "button",
        {
          type: "button",
          role: "tab",
          id: `${id}-${k}`,
          class: "hg-tab",
          "aria-controls": panel.id,
          ...OWN_KEYS,
        },
        label,
        " ",
        count,
      );
      node.addEventListener("click", () => show(name), { signal });
      return { node, count };
    });
    element.replaceChildren(...nodes.map(({ node }) => node));
    element.hidden = tabs.length === 0;
    if (tabs.length) panel.setAttribute("role", "tabpanel");
    else for (const name of ["role", "aria-labelledby"]) panel.removeAttribute(name);
  };

  element.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const at = nodes.findIndex(({ node }) => node === event.target);
      const to = at < 0 ? null : tabFor(event.key, at, nodes.length);
      if (to === null) return;
      event.preventDefault();
      nodes[to]!.node.focus();
      show(drawn[to]!.name);
    },
    { signal },
  );

  return {
    element,
    update: (tabs, shown, tallies) => {
      if (tabs !== drawn) build(tabs);
      for (const [k, { node, count }] of nodes.entries()) {
        const isShown = tabs[k]!.name === shown;
        const { label, title } = tabs[k]!;
        const { on, partial } = tallies[k]!;
        const said = tallyText({ on, partial });
        setText(count, on + partial ? (on + partial).toLocaleString("en-US") : "");
        node.ariaLabel = `${label}, ${said}`;
        node.title = title ? `${title}; ${said}` : said;
        node.ariaSelected = String(isShown);
        node.tabIndex = isShown ? 0 : -1;
        if (isShown) panel.setAttribute("aria-labelledby", node.id);
      }
    },
  };
}
