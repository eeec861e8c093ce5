/** The entry point of anywidget: renders one view, which lives as long as its signal. */
import { makeApp } from "./app";
import type { Model } from "./model/sync";

interface RenderProps {
  model: Model;
  el: HTMLElement;
  /** Aborted when the view closes; older hosts call the returned function instead. */
  signal?: AbortSignal;
}

function render({ model, el, signal }: RenderProps): () => void {
  const life = new AbortController();
  const end = () => life.abort();
  signal?.addEventListener("abort", end, { once: true });
  makeApp(model, el, life.signal);
  return end;
}

export default { render };
