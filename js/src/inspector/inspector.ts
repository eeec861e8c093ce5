/** The inspector: what one cell does, where its weights are, and the selected heads side by side. */

import { makeCopy } from "../dom/clipboard";
import { atEnd, keepKeys, make, OWN_KEYS, setText } from "../dom/elements";
import { makeSwitch } from "../dom/switch";
import { makeTabs } from "../dom/tabs";
import type { HeadRows } from "../model/head_rows";
import type { Ln } from "../model/sync";
import type { InspectorSettings } from "../model/view";
import type { HeadsSummary, Summary } from "../model/wire";
import { makeCircuit } from "./circuit";
import { type CellLinks, makeComposition } from "./composition";
import { makeHeadTable } from "./head_table";
import { makeComparison, NARROWEST } from "./selected_heads";
import { LABELS, nearestTab, tabsOf } from "./tab_choice";
import { textOfCircuit, textOfComparison, textOfLocations, textOfPartners, textOfRows } from "./text";
import { locationsTable } from "./weight_location";

/** What there is to show. */
export interface InspectorContent {
  /** The cell that was asked about, by its own words. */
  asked: { title: string; name: string } | null;
  /** The answer, once it is there. */
  summary: Summary | null;
  heads: HeadsSummary | null;
  /** The metrics of all selected heads; null while none are known. */
  rows: HeadRows | null;
  /** The cell that is looked at; -1 for none. */
  cell: number;
  /** Why no arrows are drawn among the selected heads. */
  note: string;
  ln: Ln;
  /** Whether anything depends on how the norms are taken: whether there is more than where the weights are. */
  hasNorms: boolean;
  live: boolean;
  /** Whether a page without a kernel brought both readings of the cell, folded and raw. */
  hasBoth: boolean;
  /** The tab of what the heads do on a text, where there is one. */
  onText: TextTab | null;
}

/** What the inspector has to know of the tab that another module fills. */
export interface TextTab {
  /** Whether it is shown as long as no other was chosen. */
  isFirst: boolean;
  /** Whether its answer is still to come. */
  isBusy: boolean;
}

/** What fills that tab, and says it as text. */
export interface TextPanel {
  element: HTMLElement;
  text(): string;
}

export interface InspectorEvents extends CellLinks {
  normed(ln: Ln): void;
  /** A tab was chosen. */
  opened(tab: string): void;
  say(sentence: string): void;
}

export interface Inspector {
  element: HTMLElement;
  update(content: InspectorContent): void;
}

const HINT = "Click a cell to see what it does and where its weights are.";
const WAIT = "Reading the weights…";
const ALONE = "There is no kernel: only what was read before can be shown.";
const LOST = "The kernel ended before all of this was read; a running one can read it.";
const UNREAD = "The weights of this cell were not read, and there is no kernel that could.";
/** What a column of heads cannot have: the panel's padding and a thin scrollbar. */
const BESIDES = 36;
export function makeInspector(
  settings: InspectorSettings,
  events: InspectorEvents,
  textPanel: TextPanel,
  signal: AbortSignal,
): Inspector {
  const title = make("span", { class: "hg-word" });
  const name = make("span", { class: "hg-muted" });
  const norms = makeSwitch<Ln>(
    "Norms",
    [
      {
        state: "folded",
        label: "norms folded",
        spoken: "norms folded",
        title: "The norms' gains and centring are taken into the weights",
      },
      { state: "raw", label: "raw", spoken: "raw weights", title: "The stored weights alone" },
    ],
    events.normed,
    signal,
  );
  const signs = makeSwitch<"1" | "-1">(
    "Side of the directions",
    [
      { state: "1", label: "+", spoken: "positive side", title: "The tokens with the largest logits" },
      {
        state: "-1",
        label: "−",
        spoken: "negative side",
        title: "The tokens with the smallest logits: the same directions turned round, both sides at once",
      },
    ],
    (sign) => {
      settings.sign = sign === "1" ? 1 : -1;
      show();
    },
    signal,
  );
  const copy = makeCopy("Copy what this tab shows, as text in columns", () => copied(), events.say, signal);
  const heading = make("div", { class: "hg-heading" }, title, name, copy);
  const empty = make("p", { class: "hg-muted" }, HINT);
  const body = make("div", { class: "hg-body", ...OWN_KEYS });
  const tabs = makeTabs(
    "What is shown",
    body,
    (tab) => {
      settings.tab = tab;
      events.opened(tab);
      show();
    },
    signal,
  );
  const tools = make("div", { class: "hg-settings" }, norms.element, signs.element);
  const element = make(
    "div",
    { class: "hg-inspector", role: "group", "aria-label": "Inspector" },
    heading,
    empty,
    tabs.element,
    tools,
    body,
  );
  const table = makeHeadTable(events, signal);
  let content: InspectorContent | null = null;
  /** The last answer, which stays in sight until the next one is there. */
  let summary: Summary | null = null;
  let drawn = "";

  keepKeys(element, signal);

  /** How many heads fit side by side; all of them while the panel has no size. */
  const fitting = () =>
    body.offsetWidth ? Math.max(1, Math.floor((body.offsetWidth - BESIDES) / NARROWEST)) : undefined;
  const circuitsOf = (tab: string) => summary?.circuits.filter((circuit) => circuit.tab === tab) ?? [];
  const view = {
    get sign() {
      return settings.sign;
    },
    get explains() {
      return settings.explains;
    },
    explained: (open: boolean) => {
      settings.explains = open;
    },
  };
  const contentOf = (tab: string): HTMLElement[] => {
    const heads = content?.heads;
    const note = (text: string) => make("p", { class: "hg-note" }, text);
    if (tab === "live") return [textPanel.element];
    if (tab === "selected") {
      const beside = heads ? makeComparison(heads, { ...view, titled: true }, events, fitting()) : [];
      return [
        ...(content?.rows ? [table.element] : []),
        ...beside,
        ...(content?.note ? [note(content.note)] : []),
      ];
    }
    if (!summary) return [];
    if (tab === "weights")
      return [
        ...(summary.locations.length ? [locationsTable(summary.locations)] : []),
        ...summary.notes.map(note),
      ];
    if (tab === "composition")
      return summary.partners ? makeComposition(summary.partners, summary.cell, events) : [];
    const circuits = circuitsOf(tab);
    return circuits.map((circuit) =>
      makeCircuit(circuit, { ...view, titled: circuits.length > 1 || circuit.title !== LABELS[tab] }),
    );
  };
  const copied = (): string => {
    const { tab } = current();
    const ln = `norms: ${content?.ln ?? ""}`;
    if (tab === "live") return textPanel.text();
    if (tab === "selected") {
      const rows = content?.rows ? textOfRows(content.rows, events.word) : "";
      const beside = content?.heads ? textOfComparison(content.heads) : "";
      return [ln, rows, beside].filter(Boolean).join("\n\n");
    }
    if (!summary) return "";
    const head = `${summary.title}\t${summary.name}`;
    if (tab === "weights") return `${head}\n${textOfLocations(summary.locations)}`;
    if (tab === "composition" && summary.partners)
      return `${head}\t${ln}\n${textOfPartners(summary.partners, events.word)}`;
    return `${head}\t${ln}\n\n${circuitsOf(tab).map(textOfCircuit).join("\n\n")}`;
  };
  const nHeads = () => content?.heads?.n_heads ?? content?.rows?.cells.length ?? 0;
  const current = () => {
    const { onText, asked, live } = content ?? {};
    const wanted = settings.tab || (onText?.isFirst ? "live" : "ov");
    // Not alone and for a moment, where another tab is about to be there and shown.
    const comes = summary === null && wanted !== "live" && live && asked;
    const there = tabsOf(summary, nHeads(), Boolean(onText) && !comes);
    return {
      there,
      tab: nearestTab(
        wanted,
        there.map(({ name }) => name),
      ),
    };
  };

  const show = () => {
    if (!content) return;
    const { asked, heads, ln, hasNorms, live } = content;
    const { there, tab } = current();
    const isSelected = tab === "selected";
    const compares = nHeads() > 1;
    heading.hidden = !asked && !compares;
    table.update(content.rows, content.cell);
    setText(empty, asked ? (live ? WAIT : UNREAD) : live ? HINT : ALONE);
    // Without a kernel the selected heads may be all that there is, which is not what was asked about.
    empty.hidden = there.length > 0 && (live || !asked || summary !== null || tab === "live");
    body.hidden = there.length === 0;
    const isOnText = tab === "live";
    body.classList.toggle("hg-on-text", isOnText);
    tools.hidden = body.hidden || !hasNorms || isOnText;
    setText(title, isSelected ? `${nHeads()} heads` : (asked?.title ?? ""));
    setText(name, isSelected ? "selected" : (asked?.name ?? ""));
    norms.element.hidden = !hasNorms;
    norms.update(ln, live || content.hasBoth);
    tabs.update(there, tab);
    if (there.length) body.tabIndex = 0;
    else body.removeAttribute("tabindex");
    const pending = isSelected
      ? Boolean(heads?.pending || content.rows?.pending)
      : isOnText
        ? Boolean(content.onText?.isBusy)
        : Boolean(asked && (!content.summary || content.summary.pending.some((name) => name === tab)));
    const stale = isSelected
      ? Boolean(heads?.pending)
      : isOnText
        ? false
        : Boolean(asked && !content.summary);
    body.ariaBusy = String(pending && live);
    element.classList.toggle("hg-stale", stale && live);
    // The panel of a text says itself what it waits for.
    draw(tab, pending && !isOnText ? (live ? WAIT : LOST) : "");
  };
  const draw = (tab: string, waiting: string) => {
    const shown =
      tab === "selected"
        ? [content?.heads, content?.note, fitting(), content?.rows !== null]
        : tab === "weights"
          ? [summary?.locations, summary?.notes]
          : tab === "composition"
            ? [summary?.partners, summary?.cell]
            : tab === "live"
              ? []
              : circuitsOf(tab);
    // Answers come in parts; what did not change stays, with its place, its focus and what was opened.
    const key = JSON.stringify([tab, settings.sign, waiting, shown]);
    if (key === drawn) return;
    const isOther = drawn.slice(0, drawn.indexOf(",")) !== key.slice(0, key.indexOf(","));
    drawn = key;
    const nodes = contentOf(tab);
    const wait = waiting
      ? [make("p", { class: waiting === WAIT ? "hg-note hg-pending" : "hg-note" }, waiting)]
      : [];
    // The panel does not shrink again, so that what stands below it does not jump from click to click.
    body.style.minHeight = `${body.offsetHeight}px`;
    const focused = body.querySelector(":focus") !== null;
    const top = body.scrollTop;
    body.replaceChildren(...nodes, ...wait);
    body.scrollTop = isOther ? 0 : top;
    if (focused) body.focus({ preventScroll: true });
    const hasTokens = body.querySelector(".hg-chips") !== null;
    // They keep their room, so that nothing moves when an answer comes.
    signs.element.style.visibility = hasTokens ? "" : "hidden";
    signs.update(settings.sign > 0 ? "1" : "-1", true);
    copy.hidden = nodes.length === 0;
  };

  // Columns of heads are broken into as many tables as the width asks for.
  const observer = new ResizeObserver(() => settings.tab === "selected" && show());
  observer.observe(element);
  atEnd(signal, () => observer.disconnect());

  return {
    element,
    update: (next) => {
      content = next;
      // Without a kernel there is no next one.
      const last = next.live ? summary : null;
      summary = next.asked ? (next.summary ?? last) : null;
      show();
    },
  };
}
