/**
 * Draws the widgets of a page that has no kernel and asks for nothing: their state and their code are in the page.
 *
 * The state is in the format of Jupyter's own pages. Each mount point names a widget and holds what is shown until
 * it is drawn.
 */
import type { Model } from "../model/sync";
import { VERSION } from "../model/wire";
import { PageModel } from "./page_model";

const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
const MOUNT = "data-headgrid";

interface SavedModel {
  state: Record<string, unknown>;
  buffers?: { path: (string | number)[]; data: string }[];
}

interface Widget {
  initialize?(props: { model: Model }): unknown;
  render(props: { model: Model; el: HTMLElement; signal: AbortSignal }): unknown;
}

function bytesOf(base64: string): DataView {
  const text = atob(base64);
  return new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
}

/** The traits of a saved model, with its bytes back in their places. */
export function stateOf({ state, buffers = [] }: SavedModel): Record<string, unknown> {
  const whole = structuredClone(state);
  for (const { path, data } of buffers) {
    let holder = whole as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) holder = holder?.[key] as typeof holder;
    // A buffer may be left over from an earlier value that was deeper.
    if (holder && typeof holder === "object") holder[path.at(-1)!] = bytesOf(data);
  }
  return whole;
}

/** A model that is read and never changes, for a state that another version of headgrid left. */
export function readOnlyModel(state: Record<string, unknown>): Model {
  const nothing = () => {};
  return { get: (name) => state[name], set: nothing, save_changes: nothing, on: nothing, off: nothing };
}

/** What stands in for the kernel of a saved state. */
export function modelOf(state: Record<string, unknown>): Model {
  const spec = state.spec as { version?: unknown } | undefined;
  return spec?.version === VERSION ? new PageModel(state) : readOnlyModel(state);
}

const modules = new Map<string, Promise<Widget>>();

/** The module of a source, imported once. */
function moduleOf(source: string): Promise<Widget> {
  const known = modules.get(source);
  if (known) return known;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const made = import(/* @vite-ignore */ url).then(async ({ default: found }) =>
    typeof found === "function" ? await found() : found,
  );
  modules.set(source, made);
  return made;
}

function addStyle(text: string): void {
  for (const style of document.head.querySelectorAll("style")) if (style.textContent === text) return;
  const style = document.createElement("style");
  style.textContent = text;
  document.head.append(style);
}

export async function drawAll(
  page: ParentNode = document,
  load: (source: string) => Promise<Widget> = moduleOf,
): Promise<void> {
  const saved = JSON.parse(page.querySelector(STATE)?.textContent ?? "{}").state ?? {};
  const states = new Map<string, Record<string, unknown>>();
  const models = new Map<string, Model>();
  for (const mount of page.querySelectorAll<HTMLElement>(`[${MOUNT}]`)) {
    const id = mount.getAttribute(MOUNT)!;
    const el = document.createElement("div");
    el.className = "hg-drawn";
    try {
      if (!(id in saved)) throw new Error("its state is not in this page");
      const state = states.get(id) ?? stateOf(saved[id]);
      states.set(id, state);
      const widget = await load(String(state._esm));
      // Several places of one widget share its model, as in a notebook.
      const model = models.get(id) ?? modelOf(state);
      models.set(id, model);
      el.classList.toggle("jupyter-widgets-disconnected", !model.isPage);
      addStyle(String(state._css ?? ""));
      mount.prepend(el);
      await widget.initialize?.({ model });
      await widget.render({ model, el, signal: new AbortController().signal });
    } catch (error) {
      el.remove();
      const said = document.createElement("p");
      said.textContent = `This is a picture, because the widget could not be drawn: ${error}`;
      mount.append(said);
    }
  }
}

if (document.querySelector(STATE)) void drawAll();
