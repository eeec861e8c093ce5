/** The inspector's place in the first module: a shell, until the second module is there, which Python sends once it is needed. */
import type { ArrowBar } from "./arrowbar";
import { core } from "./core";
import { make, setText } from "./dom";
import { ALONE, HINT, WAIT } from "./hints";
import type { Inspector, InspectorEvents, Subject } from "./inspector";
import type { ArrowChoice, Panel } from "./view";

/** What the second module gives, once it has what it takes from the first one. */
export type PanelModule = typeof import("./panel");

export interface PanelHost {
  element: HTMLElement;
  /** What there is to show, and the source of the second module; "" while it is not there. */
  update(subject: Subject, source: string): void;
  /** Runs something with the second module: at once where it is there, or else when it comes. */
  late(run: (module: PanelModule) => void): void;
  /** The row of the arrows' choices, which comes with the second module. */
  arrowBar(choice: ArrowChoice, changed: () => void): ArrowBar;
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

export function makePanelHost(
  panel: Panel,
  events: InspectorEvents,
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
  const waiting: ((module: PanelModule) => void)[] = [];
  let there: PanelModule | null = null;
  let subject: Subject | null = null;
  let inspector: Inspector | null = null;
  let asked = false;
  let failed = "";

  const show = () => {
    if (!subject) return;
    if (inspector) return inspector.update(subject);
    const { asked: cell, live } = subject;
    setText(title, cell?.title ?? "");
    setText(name, cell?.name ?? "");
    setText(said, failed || (!live ? ALONE : cell ? WAIT : HINT));
  };
  const arrive = (module: PanelModule) => {
    if (signal.aborted) return;
    module.share(core);
    inspector = module.makeInspector(panel, events, signal);
    // What stands below does not jump up where the answer is still to come.
    inspector.element.style.minHeight = `${shell.offsetHeight}px`;
    // Inside the view, because the page's own style sheets do not reach into a shadow root.
    element.replaceChildren(make("style", {}, module.css), inspector.element);
    show();
    there = module;
  };
  const fail = (error: unknown) => {
    failed = `The inspector could not be loaded, and the grid works without it. Does this page forbid scripts of blob: and data: addresses? ${error}`;
    inspector = null;
    element.replaceChildren(shell);
    show();
    events.say(failed);
  };

  const late = (run: (module: PanelModule) => void) => {
    if (there) run(there);
    else if (failed) events.say(failed);
    else waiting.push(run);
  };
  return {
    element,
    late,
    update: (next, source) => {
      subject = next;
      show();
      if (!source || asked) return;
      asked = true;
      load(source)
        .then(arrive)
        .catch(fail)
        .then(() => {
          for (const run of there ? waiting.splice(0) : []) run(there!);
        });
    },
    arrowBar: (choice, changed) => {
      const place = make("div");
      let bar: ArrowBar | null = null;
      let last: Parameters<ArrowBar["update"]> | null = null;
      late((module) => {
        bar = module.makeArrowBar(choice, changed, signal);
        place.append(bar.element);
        if (last) bar.update(...last);
      });
      return {
        element: place,
        update: (...now) => {
          last = now;
          bar?.update(...now);
        },
      };
    },
  };
}
