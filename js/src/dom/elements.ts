/** Helpers that make and change elements. All content is text, never HTML. */

type Attributes = Record<string, string | number | boolean | undefined>;

/** An element with attributes and children; a false or missing attribute is left out. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/** The same for a drawing. */
export function draw(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

let last = 0;

/** An id that no other view on the page has. */
export function freshId(): string {
  return `headgrid-${++last}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Jupyter looks for this on the focused element itself; on a wrapper it would still take our keys as its own. */
export const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** Listens to an event until the signal aborts. */
export function on<K extends keyof HTMLElementEventMap>(
  node: EventTarget,
  type: K,
  run: (event: HTMLElementEventMap[K]) => unknown,
  signal: AbortSignal,
  more: AddEventListenerOptions = {},
): void {
  node.addEventListener(type, run as EventListener, { signal, ...more });
}

/** Runs something once the signal aborts. */
export function atEnd(signal: AbortSignal, run: () => void): void {
  signal.addEventListener("abort", run);
}

/** Keys that are pressed in an element are its own; only Tab goes on to the page. */
export function keepKeys(element: HTMLElement, signal: AbortSignal): void {
  on(element, "keydown", (event) => event.key !== "Tab" && event.stopPropagation(), signal);
}

/** A button. While it is off, by `setOff`, it keeps its focus and does nothing. */
export function button(
  label: Node | string,
  attributes: Attributes,
  run: () => void,
  signal: AbortSignal,
): HTMLButtonElement {
  const node = make("button", { type: "button", class: "hg-button", ...OWN_KEYS, ...attributes }, label);
  on(node, "click", () => isOff(node) || run(), signal);
  return node;
}

const isOff = (node: Element) => node.getAttribute("aria-disabled") === "true";

/** Switches a button on or off, and says in its tooltip what it does, or why it cannot. */
export function setOff(node: HTMLElement, off: boolean, title: string): void {
  node.setAttribute("aria-disabled", String(off));
  node.title = title;
}

/** A line drawing of 16 x 16. */
export function icon(path: string, attributes: Attributes = {}): SVGElement {
  return draw(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": "true" },
    draw("path", { d: path, ...attributes }),
  );
}

export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Runs a function at most once per frame. */
export function perFrame(run: () => void, signal: AbortSignal): () => void {
  let asked = 0;
  atEnd(signal, () => cancelAnimationFrame(asked));
  return () => {
    if (asked || signal.aborted) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      run();
    });
  };
}
