/** The menu that copies the selection: as text, as a line of Python, and as code for other libraries, which Python writes. */

import { copy } from "../dom/clipboard";
import { atEnd, button, make, on, setOff, setText } from "../dom/elements";
import { makeMenu } from "../dom/menu";
import type { CodeLibrary, CodeSync } from "../model/code_sync";

/** What selects the same in Python. JSON quotes a string as Python reads it. */
export function pythonOf(selection: string): string {
  return `grid.select(${JSON.stringify(selection)})`;
}

/** What gives its masks, and leaves what is selected. */
export function masksOf(selection: string): string {
  return `masks = grid.anatomy.select(${JSON.stringify(selection)}).masks()`;
}

const LIBRARIES: readonly [CodeLibrary, string][] = [
  ["torch", "PyTorch"],
  ["transformer_lens", "TransformerLens"],
  ["nnsight", "nnsight"],
  ["devinterp", "devinterp"],
  ["causalab", "causalab"],
];
const NOT_ALLOWED =
  "The browser did not let it be copied: choose it once more, or allow this page the clipboard.";
/** For how long the button says what was copied, in milliseconds. */
const SHOWN = 1500;

export interface CopyMenu {
  element: HTMLElement;
  /** The selection as text, and whether the kernel answers, without which there is no code. */
  update(selection: string, live: boolean): void;
  /** An answer of Python may have come. */
  answered(): void;
}

export function makeCopyMenu(code: CodeSync, say: (sentence: string) => void, signal: AbortSignal): CopyMenu {
  let selection = "none";
  let live = true;
  /** The question of this view that is not answered yet. */
  let asked: { n: number; name: string } | null = null;
  let timer = 0;
  const opener = button(
    "Copy",
    { class: "hg-button hg-copy", "aria-haspopup": "menu", "aria-expanded": "false" },
    () => {
      fail("");
      toggle();
    },
    signal,
  );
  const error = make("p", { class: "hg-error hg-copy-error", role: "alert", hidden: true });
  const element = make("div", { class: "hg-copier" }, opener, error);

  const fail = (sentence: string) => {
    setText(error, sentence);
    error.hidden = !sentence;
  };
  const label = (text: string) => {
    clearTimeout(timer);
    setText(opener, text);
  };
  const done = async (text: string, name: string) => {
    const wasCopied = await copy(text);
    if (signal.aborted) return;
    label(wasCopied ? "Copied" : "Copy");
    timer = window.setTimeout(() => label("Copy"), SHOWN);
    fail(wasCopied ? "" : NOT_ALLOWED);
    if (wasCopied) say(`${name} copied`);
  };
  const request = (library: CodeLibrary, name: string) => {
    const { answer } = code;
    // What is there already is copied at once: a browser may not let it be copied later than the click.
    if (answer?.library === library && answer.selection === selection && answer.text) {
      asked = null;
      void done(answer.text, name);
      return;
    }
    asked = { n: code.ask(library), name };
    label("Writing\u2026");
  };
  const toggle = makeMenu(
    opener,
    [
      ["Text", () => void done(selection, "text")],
      ["Python", () => void done(pythonOf(selection), "a line of Python")],
      ["Masks", () => void done(masksOf(selection), "a line of Python for its masks")],
      ...LIBRARIES.map(
        ([library, name]) =>
          [`Code for ${name}`, () => request(library, `code for ${name}`), () => live] as const,
      ),
    ],
    signal,
  );
  // An error has been read once something else is done.
  on(element, "keydown", ({ key }) => key === "Escape" && fail(""), signal);
  on(element, "focusout", () => fail(""), signal);
  atEnd(signal, () => clearTimeout(timer));

  return {
    element,
    update: (now, isLive) => {
      selection = now;
      if (live !== isLive && asked) {
        asked = null;
        label("Copy");
      }
      live = isLive;
      setOff(
        opener,
        now === "none",
        now === "none" ? "Nothing is selected" : "Copy the selection as text or code",
      );
    },
    answered: () => {
      const { answer } = code;
      if (!asked || answer?.query !== asked.n) return;
      const { name } = asked;
      asked = null;
      if (!answer.error) return void done(answer.text, `${name}, of ${answer.selection},`);
      label("Copy");
      fail(`There is no such code: ${answer.error}`);
    },
  };
}
