/** The tokens that may come next, as chips with their probabilities. */
import { make } from "../dom/elements";
import { marked, visible } from "../inspector/tokens";
import type { NextToken } from "../model/wire";

/** "41.2 %"; what rounds to all or to nothing says that it is less than all, or more than nothing. */
export function chance(p: number): string {
  const tenths = Math.round(1000 * p) / 10;
  const text = p < 1 && tenths === 100 ? ">99.9" : p > 0 && tenths === 0 ? "<0.1" : tenths.toFixed(1);
  return `${text}\u00a0%`;
}

/** "mary 99.9 %, ella <0.1 %" */
export function textOfNext(tokens: readonly NextToken[]): string {
  return tokens.map(({ token, p }) => `${token.trim() || visible(token)} ${chance(p)}`).join(", ");
}

export function nextChips(tokens: readonly NextToken[], most: number): HTMLElement[] {
  return tokens
    .slice(0, most)
    .map(({ token, p }) =>
      make(
        "span",
        { class: "hg-next-token", title: `${JSON.stringify(token)}, ${100 * p} %` },
        make("bdi", { class: "hg-token" }, ...marked(token)),
        ` ${chance(p)}`,
      ),
    );
}
