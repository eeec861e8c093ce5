/** The inspector's place in the first module: a shell, until the second module is there, which Python sends once it is needed. */

import { ALONE, HINT, WAIT } from "../inspector/hints";
import { type Cells, nameOf, spotOf, wordOf } from "../model/cells";
import { core } from "./core";
import { make, setText } from "./dom";
import type { Extras } from "./extras";

/** What the second module gives, once it has what it takes from the first one. */
export type PanelModule = typeof import("./panel");

export interface PanelHost {
  element: HTMLElement;
  /** The cell that was asked about, and the source of the second module; "" while it is not there. */
  update(cells: Cells, cell: number, live: boolean, source: string): void;
  /** What came with the second module; null until then. */
  extras(): Extras | null;
  /** Runs something with what comes with it: at once where it is there, or else when it comes. */
  late(run: (extras: Extras) => void): void;
}

type Import = (url: string) => Promise<PanelModule>;

/** One import for each source on the page, so that fifty views of it are one module. */
const imported = new Map<string, Promise<PanelModule>>();

async function importText(source: string, load: Import): Promise<PanelModule> {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return await load(url);
  } catch (error) {
    // A page's policy may allow the one and not the other.
    return await load(`data:text/javascript,${encodeURIComponent(source)}`).catch(() => {
      // The other error would hold the whole source.
      throw error;
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** The module of a source, imported once. */
export function moduleOf(
  source: string,
  load: Import = (url) => import(/* @vite-ignore */ url),
): Promise<PanelModule> {
  const known = imported.get(source) ?? importText(source, load);
  imported.set(source, known);
  return known;
}

/** `begin` puts what comes with the module into the view. */
export function makePanelHost(
  begin: (module: PanelModule) => Extras,
  say: (sentence: string) => void,
  signal: AbortSignal,
  load: (source: string) => Promise<PanelModule> = moduleOf,
): PanelHost {
  const title = make("span", { class: "hg-word" });
  const name = make("span", { class: "hg-muted" });
  const said = make("p", { class: "hg-muted" }, HINT);
  const shell = make(
    "div",
    { class: "hg-inspector", role: "group", "aria-label": "Inspector" },
    make("div", { class: "hg-heading" }, title, name),
    said,
  );
  const element = make("div", { class: "hg-side" }, shell);
  const waiting: ((extras: Extras) => void)[] = [];
  let extras: Extras | null = null;
  let asked = false;
  let failed = "";

  const arrive = (module: PanelModule) => {
    if (signal.aborted) return;
    module.share(core);
    // Inside the view, because the page's own style sheets do not reach into a shadow root.
    element.prepend(make("style", {}, module.css));
    const came = begin(module);
    // What stands below does not jump up where the answer is still to come.
    came.element.style.minHeight = `${shell.offsetHeight}px`;
    shell.replaceWith(came.element);
    came.update();
    extras = came;
  };
  const fail = (error: unknown) => {
    failed = `The inspector could not be loaded, and the grid works without it. Does this page forbid scripts of blob: and data: addresses? ${error}`;
    setText(said, failed);
    element.replaceChildren(shell);
    say(failed);
  };
  return {
    element,
    extras: () => extras,
    late: (run) => {
      if (extras) run(extras);
      else if (failed) say(failed);
      else waiting.push(run);
    },
    update: (cells, cell, live, source) => {
      const spot = spotOf(cells, cell);
      setText(title, spot ? wordOf(cells, spot) : "");
      setText(name, spot ? nameOf(cells, spot) : "");
      setText(said, failed || (!live ? ALONE : spot ? WAIT : HINT));
      if (!source || asked) return;
      asked = true;
      load(source)
        .then(arrive)
        .catch(fail)
        .then(() => {
          for (const run of extras ? waiting.splice(0) : []) run(extras!);
        });
    },
  };
}
