/** The colors as one view shows them: between the ends of the scale that it chose, and in their order. */
import type { CellValues } from "./cell_values";
import { keepClipped, keepRanking, type Ranking, type ScaleEnds } from "./ranking";
import type { Sync } from "./sync";
import type { View } from "./view";

export class ViewColors {
  readonly #sync: Sync;
  readonly #view: View;
  readonly #clipped = keepClipped();
  readonly #ranked = keepRanking();

  constructor(sync: Sync, view: View) {
    this.#sync = sync;
    this.#view = view;
  }

  /** The values, or null where there are none. */
  get values(): CellValues | null {
    return this.#clipped(this.#sync.cellValues, this.isScaled ? this.#view.scale : null);
  }

  /** The order of the cells that are shown. */
  get ranking(): Ranking | null {
    return this.#ranked(this.#sync.cellValues, this.#view.cells);
  }

  /** Whether this view chose the ends of the scale of what is shown now. */
  get isScaled(): boolean {
    return this.#view.scale !== null && this.#view.scale.of === this.#key;
  }

  /** Chooses the ends of the scale; null for those that came with the values. */
  scaleTo(ends: ScaleEnds | null): void {
    this.#view.scale = ends && { ...ends, of: this.#key };
  }

  get #key(): string {
    const { label = "", metric = "" } = this.#sync.cellValues ?? {};
    return `${metric}\n${label}`;
  }
}
