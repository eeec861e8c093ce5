/** What a query attends to, in words and numbers: the strongest keys, and all of them where that is asked for. */

import { button, make, OWN_KEYS, setText } from "../dom/elements";
import { marked, visible } from "../inspector/tokens";
import { attentionOf, isSpecial, type KeyShare, type Pattern, percent, strongestKeys } from "./patterns";

/** A pattern, and what of it is looked at. */
export interface PatternState {
  pattern: Pattern;
  tokens: readonly string[];
  /** What is attended to: the tokens themselves, unless it is another text. */
  keys: readonly string[];
  query: number;
  /** The key that is pointed at; -1 for none. */
  key: number;
  withoutFirst: boolean;
}

export interface KeyList {
  element: HTMLElement;
  update(state: PatternState): void;
}

/** How many keys are listed at first. */
export const FEW = 6;

/** "l1h2 at to, token 14 of 14: john 48 %, mary 41 %": what a screen reader says of a query. */
export function sentenceOf({ pattern, tokens, keys, query, withoutFirst }: PatternState, most = FEW): string {
  const shares = strongestKeys(pattern, query, withoutFirst).slice(0, most);
  const said = shares.map(({ key, share }) => `${spoken(keys[key] ?? "")} ${percent(share)}`);
  const first = withoutFirst ? ", the first token left out" : "";
  const looks = `${pattern.title} at ${spoken(tokens[query] ?? "")}, token ${query + 1} of ${tokens.length}${first}`;
  return `${looks}: ${said.join(", ") || "nothing"}`;
}

/** A token as it is said: without its outer blanks, unless it is nothing else. */
function spoken(token: string): string {
  return token.trim() || visible(token);
}

/** All queries and keys as lines of a table, for the clipboard. */
export function textOfPattern({ pattern, tokens, keys }: PatternState): string {
  const clean = (token: string) => visible(token);
  const lines = tokens.map((token, query) => {
    const shares = strongestKeys(pattern, query, false).sort((a, b) => a.key - b.key);
    return [clean(token), ...shares.map(({ share }) => share.toFixed(2))].join("\t");
  });
  return [["query \\ key", ...keys.map(clean)].join("\t"), ...lines].join("\n");
}

/** One key of the list, with its share as a bar and as a number. */
interface KeyRow {
  node: HTMLElement;
  update(share: KeyShare, state: PatternState): void;
}

function makeKeyRow(): KeyRow {
  const name = make("bdi", {});
  const bar = make("span", { class: "hg-share", "aria-hidden": "true" });
  const number = make("span", { class: "hg-number" });
  const node = make("li", {}, make("span", { class: "hg-token hg-key" }, name), bar, number);
  let drawn = "";
  const update = ({ key, share }: KeyShare, { keys, key: pointed }: PatternState) => {
    const token = keys[key] ?? "";
    const mark = JSON.stringify([token, key, share]);
    node.classList.toggle("hg-pointed", key === pointed);
    if (mark === drawn) return;
    drawn = mark;
    name.replaceChildren(...marked(token));
    node.title = `${JSON.stringify(token)}, token ${key + 1}`;
    node.classList.toggle("hg-muted", key === 0 || isSpecial(token));
    bar.style.setProperty("--hg-at", `${(100 * share).toFixed(1)}%`);
    setText(number, percent(share));
  };
  return { node, update };
}

export function makeKeyList(signal: AbortSignal): KeyList {
  const heading = make("h4", {});
  const list = make("ol", { class: "hg-keys-of", "aria-label": "Keys, strongest first", ...OWN_KEYS });
  const first = make("p", { class: "hg-note" });
  let all = false;
  let last: PatternState | null = null;
  let titled = "";
  const more = button(
    "",
    { "aria-expanded": "false" },
    () => {
      all = !all;
      if (last) update(last);
    },
    signal,
  );
  const element = make("div", { class: "hg-key-list" }, heading, list, first, more);

  const rows: KeyRow[] = [];
  const update = (state: PatternState) => {
    last = state;
    const { pattern, tokens, keys, query, withoutFirst } = state;
    const shares = strongestKeys(pattern, query, withoutFirst);
    const looks = pattern.cell < 0 ? " they look at, on average" : " it looks at";
    const title = JSON.stringify([tokens[query], looks]);
    if (title !== titled) {
      titled = title;
      heading.replaceChildren("at ", make("bdi", { class: "hg-word" }, visible(tokens[query] ?? "")), looks);
    }
    const shown = shares.slice(0, all ? undefined : FEW);
    // A pointer that moves changes what the rows say, and not the rows.
    while (rows.length > shown.length) rows.pop()!.node.remove();
    while (rows.length < shown.length) {
      const row = makeKeyRow();
      rows.push(row);
      list.append(row.node);
    }
    for (const [k, share] of shown.entries()) rows[k]!.update(share, state);
    list.classList.toggle("hg-all", all);
    // What scrolls has to be reached by keys.
    list.tabIndex = all ? 0 : -1;
    const left = withoutFirst
      ? `Left out: the first token, ${visible(keys[0] ?? "")}, ${percent(attentionOf(pattern, query, 0))}`
      : "";
    setText(first, left);
    more.hidden = Math.max(pattern.keys, tokens.length) <= FEW;
    more.setAttribute("aria-expanded", String(all));
    setText(more, all ? `only the ${FEW} strongest` : `all ${shares.length} keys`);
  };
  return { element, update };
}
