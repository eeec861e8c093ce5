/** Stands in for anywidget's model: it keeps what is written, and tells who listens. */
import type { Model } from "../src/model/sync";

export class Host implements Model {
  writes: string[] = [];
  readonly #listeners = new Map<string, Set<() => void>>();
  constructor(readonly state: Record<string, unknown>) {}
  get = (name: string) => this.state[name];
  set = (name: string, value: unknown) => {
    this.writes.push(name);
    this.tell(name, value);
  };
  tell(name: string, value: unknown) {
    this.state[name] = value;
    this.fire(`change:${name}`);
  }
  /** What a message brings: all of it is there before anybody is told, in the message's order. */
  send(state: Record<string, unknown>) {
    Object.assign(this.state, state);
    for (const name of Object.keys(state)) this.fire(`change:${name}`);
  }
  fire(event: string) {
    for (const listener of this.#listeners.get(event) ?? []) listener();
  }
  save_changes() {}
  on(name: string, callback: () => void) {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(callback));
  }
  off(name: string, callback: () => void) {
    this.#listeners.get(name)?.delete(callback);
  }
  get listening() {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

/** All orders of some things. */
export function orders<T>(things: readonly T[]): T[][] {
  const after = (first: T) => orders(things.filter((thing) => thing !== first));
  return things.length ? things.flatMap((first) => after(first).map((rest) => [first, ...rest])) : [[]];
}
