/** The row of saved selections: one chip each, which recalls it, shows it on the grid, colors or removes it. */

import { button, freshId, keepKeys, make, OWN_KEYS, on, setOff, setText } from "../dom/elements";
import { rovingFocus } from "../dom/roving";
import { type BitSet, fromWire } from "../model/bits";
import { freshName, overlapText } from "../model/overlap";
import type { Command, SavedSelection } from "../model/wire";
import { LOST } from "./toolbar";

export interface SavedEvents {
  /** Asks for a command; returns its number. */
  command(what: Command["do"], name: string, value?: string): number;
  /** A command of this row was done, or refused. */
  finished(done: boolean): void;
  /** Which of them are shown on the grid changed. */
  shown(): void;
  say(sentence: string): void;
}

export interface SavedState {
  items: readonly SavedSelection[];
  /** How many cells the model has. */
  count: number;
  /** The selection as text. */
  selection: string;
  /** The last command that Python has done or refused, and what it said against it. */
  done: number;
  error: string;
  live: boolean;
}

export interface SavedRow {
  element: HTMLElement;
  update(state: SavedState): void;
}

/** A command that was asked for here. */
interface Asked {
  n: number;
  what: Command["do"];
  name: string;
  value: string;
}

/** Whether a command had its effect. */
export function succeeded({ what, name, value }: Asked, items: readonly SavedSelection[]): boolean {
  const item = items.find((one) => one.name === name);
  if (what === "remove") return !item;
  return item !== undefined && (what !== "tint" || item.color.toLowerCase() === value.toLowerCase());
}

interface Chip {
  node: HTMLElement;
  update(item: SavedSelection): void;
}

/** `marks` are the names of those that are shown on the grid. */
export function makeSaved(marks: string[], events: SavedEvents, signal: AbortSignal): SavedRow {
  const errorId = freshId();
  let state: SavedState = { items: [], count: 0, selection: "none", done: 0, error: "", live: true };
  let asked: Asked[] = [];
  let chips = new Map<string, Chip>();
  let edits = false;

  const ask = (what: Command["do"], name: string, value = "") => {
    setText(error, "");
    asked.push({ n: events.command(what, name, value), what, name, value });
    update(state);
  };
  const bitsOf = (item: SavedSelection): BitSet => fromWire(item.cells, state.count);
  const overlap = () =>
    overlapText(
      state.items
        .filter(({ name }) => marks.includes(name))
        .map((item) => ({ name: item.name, bits: bitsOf(item) })),
    );
  const toggle = (name: string) => {
    const at = marks.indexOf(name);
    if (at < 0) marks.push(name);
    else marks.splice(at, 1);
    update(state);
    events.shown();
    const said = `${name} is ${at < 0 ? "shown" : "no longer shown"} on the grid`;
    events.say([said, overlap()].filter(Boolean).join("; "));
  };

  const makeChip = (name: string): Chip => {
    const dot = button(
      "",
      { class: "hg-dot", "aria-label": `Show ${name} on the grid` },
      () => toggle(name),
      signal,
    );
    const recall = button(name, { class: "hg-recall" }, () => ask("recall", name), signal);
    const color = make("input", { type: "color", "aria-label": `Color of ${name}`, ...OWN_KEYS });
    const remove = button(
      "×",
      { class: "hg-remove", "aria-label": `Remove ${name}` },
      () => ask("remove", name),
      signal,
    );
    const node = make(
      "span",
      { class: "hg-chip", role: "group", "aria-label": name },
      dot,
      color,
      recall,
      remove,
    );
    on(color, "change", () => state.live && ask("tint", name, color.value), signal);
    const erase = () => {
      if (edits) return ask("remove", name);
      // A key that is hit by mistake removes nothing.
      setEdits(true);
      remove.focus();
    };
    on(node, "keydown", ({ key }) => key === "Delete" && state.live && erase(), signal);
    return {
      node,
      update: (item) => {
        const isShown = marks.includes(name);
        node.style.setProperty("--hg-tint", item.color);
        dot.setAttribute("aria-pressed", String(isShown));
        dot.title = isShown ? "Shown on the grid" : "Show on the grid";
        recall.setAttribute("aria-current", String(item.text === state.selection));
        setOff(recall, !state.live, `${name}: ${item.text} (${item.counts})${state.live ? "" : `; ${LOST}`}`);
        setOff(remove, !state.live, `Remove ${name}`);
        if (!color.matches(":focus")) color.value = item.color;
        color.disabled = !state.live;
        color.title = `Color of ${name}`;
        dot.hidden = edits;
        color.hidden = remove.hidden = !edits;
      },
    };
  };

  const list = make("span", { class: "hg-chiplist" });
  const label = make("span", { class: "hg-muted" }, "Saved");
  const save = button("Save selection…", {}, () => openForm(true), signal);
  const edit = button("Edit", {}, () => setEdits(!edits), signal);
  const bar = make(
    "div",
    { class: "hg-savebar", role: "toolbar", "aria-label": "Saved selections" },
    label,
    list,
    save,
    edit,
  );
  const input = make("input", {
    class: "hg-text",
    "aria-label": "Name of the selection",
    "aria-describedby": errorId,
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 80,
    ...OWN_KEYS,
  });
  const accept = button("Save", { type: "submit" }, () => {}, signal);
  const cancel = button("Cancel", {}, () => openForm(false), signal);
  const form = make("form", { class: "hg-form", hidden: true }, input, accept, cancel);
  const compared = make("p", { class: "hg-muted hg-overlap" });
  const error = make("p", { class: "hg-error", id: errorId, role: "alert" });
  const element = make("div", { class: "hg-row hg-saved" }, bar, form, compared, error);
  const row = rovingFocus(bar, signal);

  const setEdits = (on: boolean) => {
    edits = on;
    row.keep(() => update(state));
  };
  const openForm = (open: boolean) => {
    if (open === !form.hidden) return;
    const inside = form.contains((form.getRootNode() as Document).activeElement);
    form.hidden = !open;
    save.hidden = open;
    setText(error, "");
    row.update();
    if (open) {
      input.value = freshName(state.items.map(({ name }) => name));
      named();
      input.focus();
      input.select();
    } else if (inside) save.focus();
  };
  const named = () => {
    const replaces = state.items.some(({ name }) => name === input.value.trim());
    setText(accept, replaces ? "Replace" : "Save");
    input.removeAttribute("aria-invalid");
  };
  on(input, "input", named, signal);
  on(
    form,
    "submit",
    (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (name && state.live && !asked.some(({ what }) => what === "save")) ask("save", name);
    },
    signal,
  );
  keepKeys(form, signal);
  on(form, "keydown", ({ key }) => key === "Escape" && openForm(false), signal);
  on(bar, "keydown", ({ key }) => key === "Escape" && edits && setEdits(false), signal);

  /** What became of the commands that were asked for here. */
  const settle = () => {
    const over = asked.filter(({ n }) => n <= state.done);
    asked = asked.filter(({ n }) => n > state.done);
    for (const command of over) {
      const isDone = succeeded(command, state.items);
      events.finished(isDone);
      if (!isDone) setText(error, state.error || `${command.name}: that was not done`);
      if (command.what !== "save" || form.hidden) continue;
      if (isDone) openForm(false);
      else input.setAttribute("aria-invalid", "true");
    }
  };
  const update = (next: SavedState) => {
    state = next;
    settle();
    const { items, live, selection } = state;
    const names = items.map(({ name }) => name);
    element.classList.toggle("hg-nonempty", items.length > 0);
    for (const mark of marks.filter((name) => !names.includes(name))) marks.splice(marks.indexOf(mark), 1);
    if (!items.length || !live) edits = false;
    row.keep(() => {
      chips = new Map(names.map((name) => [name, chips.get(name) ?? makeChip(name)]));
      const nodes = [...chips.values()].map(({ node }) => node);
      if (nodes.length !== list.children.length || nodes.some((node, k) => node !== list.children[k]))
        list.replaceChildren(...nodes);
      for (const item of items) chips.get(item.name)!.update(item);
      label.hidden = edit.hidden = !items.length;
      setText(edit, edits ? "Done" : "Edit");
      edit.setAttribute("aria-pressed", String(edits));
      setOff(edit, !live, live ? "Color or remove them" : `Edit: ${LOST}`);
    });
    const none = selection === "none";
    setOff(
      save,
      none || !live,
      live ? (none ? "Nothing is selected" : "Save the selection under a name") : `Save: ${LOST}`,
    );
    setText(compared, overlap());
  };
  return { element, update };
}
