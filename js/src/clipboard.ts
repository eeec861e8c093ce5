/** The clipboard, by whichever way the page allows. */
import { button, make, OWN_KEYS } from "./dom";

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

/** A button that copies what a function gives at the time, and says so on itself and aloud. */
export function makeCopy(
  title: string,
  text: () => string,
  said: (sentence: string) => void,
  signal: AbortSignal,
  label = "Copy",
): HTMLButtonElement {
  let timer = 0;
  const run = async () => {
    const done = await copy(text());
    end();
    node.textContent = done ? "Copied" : "Not copied";
    said(done ? "copied" : "the browser did not let it be copied");
    timer = window.setTimeout(end, 1500);
  };
  const node = button(label, { class: "hg-button hg-copy", title }, run, signal);
  const end = () => {
    clearTimeout(timer);
    node.textContent = label;
  };
  signal.addEventListener("abort", end);
  return node;
}
