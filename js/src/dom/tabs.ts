/** A tab list: one tab stop, and the arrow keys go from one tab to the next. */
import { arrowKeys } from "./arrow_keys";
import { button, freshId, make, setText } from "./elements";

export interface TabShape {
  name: string;
  label: string;
  /** A number beside the label; "" for none. */
  count?: string;
  /** How the label is spoken, where it is not as it is written. */
  spoken?: string;
  title?: string;
}

export interface Tabs {
  element: HTMLElement;
  /** The tabs, and the name of the one that is shown; without tabs nothing is there to see. */
  update(tabs: readonly TabShape[], shown: string): void;
}

interface Tab {
  name: string;
  node: HTMLButtonElement;
  label: Text;
  count: HTMLElement;
}

export function makeTabs(
  purpose: string,
  panel: HTMLElement,
  show: (name: string) => void,
  signal: AbortSignal,
): Tabs {
  const id = freshId();
  panel.id = `${id}-panel`;
  const element = make("div", { class: "hg-tabs", role: "tablist", "aria-label": purpose, hidden: true });
  let nodes: Tab[] = [];

  const makeTab = (name: string, k: number): Tab => {
    const label = new Text();
    const count = make("span", { class: "hg-count", "aria-hidden": "true" });
    const node = button(
      label,
      { role: "tab", id: `${id}-${k}`, class: "hg-tab", "aria-controls": panel.id },
      () => show(name),
      signal,
    );
    node.append(" ", count);
    return { name, node, label, count };
  };
  const build = (tabs: readonly TabShape[]) => {
    const focused = element.querySelector(":focus") !== null;
    nodes = tabs.map(({ name }, k) => makeTab(name, k));
    element.replaceChildren(...nodes.map(({ node }) => node));
    element.hidden = tabs.length === 0;
    if (tabs.length) panel.setAttribute("role", "tabpanel");
    else for (const name of ["role", "aria-labelledby"]) panel.removeAttribute(name);
    return focused;
  };

  arrowKeys(
    element,
    () => nodes.map(({ node }) => node),
    (to) => show(nodes[to]!.name),
    signal,
  );

  return {
    element,
    update: (tabs, shown) => {
      const isSame = tabs.length === nodes.length && tabs.every(({ name }, k) => name === nodes[k]!.name);
      const refocus = !isSame && build(tabs);
      for (const [k, { name, node, label, count }] of nodes.entries()) {
        const shape = tabs[k]!;
        const isShown = name === shown;
        if (label.data !== shape.label) label.data = shape.label;
        setText(count, shape.count ?? "");
        node.ariaLabel = shape.spoken ?? null;
        node.title = shape.title ?? "";
        node.ariaSelected = String(isShown);
        node.tabIndex = isShown ? 0 : -1;
        if (isShown) panel.setAttribute("aria-labelledby", node.id);
        if (isShown && refocus) node.focus({ preventScroll: true });
      }
    },
  };
}
