/** Tokens as chips, with their blanks made visible. */
import { make } from "../dom/elements";
import { clamp, short } from "../model/numbers";
import type { Sign } from "../model/view";
import type { Tokens } from "../model/wire";

const LONGEST = 28;
const SIGNS: Record<string, string> = { " ": "·", "\n": "↵", "\t": "⇥", "\r": "␍" };

/** A token with its outer blanks and all its control signs visible; long ones are cut. */
export function visible(token: string): string {
  if (token === "") return "∅";
  const shown = token
    .replace(/^ +| +$/g, (blanks) => "·".repeat(blanks.length))
    .replace(/[\n\t\r]/g, (sign) => SIGNS[sign]!)
    // What has no shape of its own is shown by its number.
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0\ufffd]/gu,
      (sign) => `<${sign.codePointAt(0)!.toString(16).padStart(4, "0")}>`,
    );
  const letters = [...shown];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : shown;
}

/** One chip; the stronger its logit, the stronger its ground. */
export function chip(token: string, value?: number, strength = 0): HTMLElement {
  const exact = JSON.stringify(token);
  return make(
    "span",
    {
      class: "hg-token",
      title: value === undefined ? exact : `${exact}  logit ${short(value)}`,
      style: `--hg-strength:${Math.round(100 * clamp(strength, 0, 1))}%`,
    },
    ...marked(token),
  );
}

/** A token as it is shown, with the mark of its first blank paler than the rest. */
export function marked(token: string): (Node | string)[] {
  const shown = visible(token);
  return shown.startsWith("·") ? [make("i", {}, "·"), shown.slice(1)] : [shown];
}

/** The tokens of one side and one sign, strongest first. */
export function sideOf(tokens: Tokens, sign: Sign): { tokens: string[]; values: number[] } {
  return sign > 0
    ? { tokens: tokens.top, values: tokens.top_values }
    : { tokens: tokens.bottom, values: tokens.bottom_values };
}

export function chips(tokens: Tokens | null, sign: Sign, most = 99): HTMLElement {
  if (!tokens) return make("span", { class: "hg-muted" }, "–");
  const side = sideOf(tokens, sign);
  const first = side.values[0] || 1;
  // Squared, because logits fall off slowly; none where the sign is no longer that of the first.
  const strength = (k: number) => Math.max(0, (side.values[k] ?? 0) / first) ** 2;
  const nodes = side.tokens
    .slice(0, most)
    // The blanks between chips are for those who hear or copy them.
    .flatMap((token, k) => [chip(token, side.values[k], strength(k)), " "]);
  return make("span", { class: sign > 0 ? "hg-chips" : "hg-chips hg-minus" }, ...nodes);
}
