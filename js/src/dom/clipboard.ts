/** The clipboard, by whichever way the page allows. */
import { button, make, OWN_KEYS } from "./elements";

export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without permission, or on a page that is not secure, the old way may still work. It moves the focus.
    const area = make("textarea", { "aria-hidden": "true", style: "position:fixed;opacity:0", ...OWN_KEYS });
    const focused = document.activeElement;
    const before = focused?.shadowRoot?.activeElement ?? focused;
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    return done;
  }
}

/** When each button says again what it does. */
const timers = new WeakMap<Node, number>();

/** Copies a text, and says so on the button that asked for it, and aloud. */
export async function copyFrom(
  node: HTMLElement,
  text: string,
  say: (sentence: string) => void,
): Promise<void> {
  const done = await copy(text);
  const label = node.dataset.label ?? node.textContent;
  node.dataset.label = label;
  node.textContent = done ? "Copied" : "Not copied";
  say(done ? "copied" : "the browser did not let it be copied");
  clearTimeout(timers.get(node));
  const again = () => {
    node.textContent = label;
  };
  timers.set(node, window.setTimeout(again, 1500));
}

/** A button that copies what a function gives at the time. */
export function makeCopy(
  title: string,
  text: () => string,
  say: (sentence: string) => void,
  signal: AbortSignal,
): HTMLButtonElement {
  const run = () => copyFrom(node, text(), say);
  const node = button("Copy", { class: "hg-button hg-copy", title }, run, signal);
  return node;
}
