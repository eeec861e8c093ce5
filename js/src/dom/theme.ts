/** The theme: light, dark or the system's colors, read from the background behind the widget and not from the host's name. */
import { atEnd, on } from "./elements";

export type Theme = "light" | "dark";

/** Red, green, blue, alpha of a computed color. */
export function channels(color: string): [number, number, number, number] | null {
  const numbers = color
    .match(/-?[\d.]+%?/g)
    ?.map((t) => (t.endsWith("%") ? Number.parseFloat(t) / 100 : Number(t)));
  if (!numbers || numbers.length < 3) return null;
  const scale = color.startsWith("color(") ? 255 : 1;
  const [r = 0, g = 0, b = 0, a = 1] = numbers;
  return [r * scale, g * scale, b * scale, a];
}

/** Relative luminance as WCAG defines it, from 0 to 1. */
export function luminance([r, g, b]: readonly number[]): number {
  const linear = [r, g, b].map((v = 0) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
}

function parentOf(node: Element): Element | null {
  if (node.parentElement) return node.parentElement;
  const root = node.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

const themeOn = (ground: readonly number[]): Theme => (luminance(ground) < 0.18 ? "dark" : "light");

/** A color that hides what is behind it; null for any other. */
function opaque(color: string): number[] | null {
  const found = channels(color);
  return found && found[3] > 0.5 ? found : null;
}

/** What an element says of its theme, as in `<body class="vscode-dark">`; null where it says nothing, or both. */
export function themeSaid({ attributes }: Element): Theme | null {
  const said = [...attributes]
    .map(({ name, value }) => (/class|theme|mode/.test(name) ? value : ""))
    .join(" ");
  const [light, dark] = [/\blight\b/i, /\bdark\b/i].map((word) => word.test(said));
  // VS Code's "vscode-high-contrast" is a dark one: the other has "light" in its name as well.
  return light !== dark ? (dark ? "dark" : "light") : /high-contrast/.test(said) ? "dark" : null;
}

/** What VS Code says on the body of its frames: `vscode-dark`, `vscode-light`, `vscode-high-contrast` or `vscode-high-contrast-light`. */
export function codedTheme(node: Element): Theme | null {
  const said = [...node.classList, node.getAttribute("data-vscode-theme-kind") ?? ""];
  if (said.some((name) => /^vscode-(high-contrast-)?light$/.test(name))) return "light";
  return said.some((name) => /^vscode-(dark|high-contrast)$/.test(name)) ? "dark" : null;
}

/** "#1e1e1e" as "rgb(30, 30, 30)"; what is written otherwise stays. */
function rgbOfHex(color: string): string {
  const hex = color.trim().match(/^#([\da-f]{3}|[\da-f]{6})(?:[\da-f]{2})?$/i)?.[1];
  if (!hex) return color;
  const pairs = hex.length === 3 ? [...hex].map((digit) => digit + digit) : hex.match(/../g)!;
  return `rgb(${pairs.map((pair) => Number.parseInt(pair, 16)).join(", ")})`;
}

/** The theme of the first opaque background behind an element; shadow hosts are crossed. */
export function themeBehind(element: Element): Theme {
  const chain: Element[] = [];
  for (let node = parentOf(element); node; node = parentOf(node)) chain.push(node);
  for (const node of chain) {
    const ground = opaque(getComputedStyle(node).backgroundColor);
    if (ground) return themeOn(ground);
  }
  // All is transparent, as in a frame of VS Code: then what VS Code says of its theme, what the host calls its ground,
  // what it says otherwise, and at last its text, which is light on what is dark. A page that chose the system's dark
  // colors has light text too.
  const coded = chain.map(codedTheme).find((theme) => theme !== null);
  if (coded) return coded;
  // The variable itself too, for a page whose policy keeps the style sheet out.
  const variable = getComputedStyle(document.documentElement).getPropertyValue("--vscode-editor-background");
  const named = opaque(getComputedStyle(element).columnRuleColor) ?? opaque(rgbOfHex(variable));
  if (named) return themeOn(named);
  for (const node of chain) {
    const said = themeSaid(node);
    if (said) return said;
  }
  const text = chain[0] && channels(getComputedStyle(chain[0]).color);
  return text && luminance(text) > 0.4 ? "dark" : "light";
}

/** Keeps `data-theme` of the root in step with the page, and calls back after each change. */
export function followTheme(root: HTMLElement, signal: AbortSignal, changed: () => void): () => void {
  const update = () => {
    const theme = themeBehind(root);
    if (root.dataset.theme !== theme) root.dataset.theme = theme;
    changed();
  };
  const observer = new MutationObserver(update);
  // Whatever the attribute: each host has its own.
  for (const node of [document.documentElement, document.body]) observer.observe(node, { attributes: true });
  atEnd(signal, () => observer.disconnect());
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    on(matchMedia(query), "change", update, signal);
  }
  return update;
}

const NAMES = [
  "text",
  "muted",
  "ground",
  "cell",
  "edge",
  "on",
  "mark",
  "partial",
  "hatch",
  "hover",
  "cursor",
  "group",
  "line",
  "q",
  "k",
  "v",
  "font",
  "theme",
] as const;

export type Palette = Record<(typeof NAMES)[number], string>;

/** The canvas's colors, from the style sheet's variables. */
export function readPalette(root: HTMLElement): Palette {
  const style = getComputedStyle(root);
  return Object.fromEntries(
    NAMES.map((name) => [name, style.getPropertyValue(`--hg-${name}`).trim()]),
  ) as Palette;
}

/** Whether the system chooses the colors: then there are too few of them to mean a value. */
export function isPlain(palette: Palette): boolean {
  return palette.cell === palette.ground;
}
