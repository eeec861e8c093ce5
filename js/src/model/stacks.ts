/** The stacks of a model, such as encoder and decoder, of which a view shows one: its bands, and what is selected in the others. Pure. */

import type { TabShape } from "../dom/tabs";
import { type BitSet, has } from "./bits";
import { type Cells, sizeOf } from "./cells";
import { thousands } from "./numbers";
import type { Band, StackTab } from "./wire";

/** The cells that are shown with a stack: those of its own bands, and of the bands that belong to no tab's stack. */
export function cellsOf(cells: Cells, stack: string): Cells {
  if (!cells.stacks.length) return cells;
  const isShown = ({ stack: own }: Band) => own === stack || !cells.stacks.some((tab) => tab.name === own);
  const shown = cells.bands.map(isShown);
  return { ...cells, bands: cells.bands.filter(isShown), first: cells.first.filter((_, b) => shown[b]) };
}

/** How many cells of a stack are selected, and how many of them only in part. */
export interface Tally {
  on: number;
  partial: number;
}

/** The tally of a stack's own bands; what all stacks share is in sight anyway. */
export function tally(cells: Cells, stack: string, on: BitSet, partial: BitSet): Tally {
  const found = { on: 0, partial: 0 };
  for (const [b, band] of cells.bands.entries()) {
    if (band.stack !== stack) continue;
    for (let n = cells.first[b]!; n < cells.first[b]! + sizeOf(cells, b); n++) {
      if (has(on, n)) found.on++;
      else if (has(partial, n)) found.partial++;
    }
  }
  return found;
}

/** A tally in words: "3 cells selected, 1 of them partly"; "nothing selected". */
export function tallyText({ on, partial }: Tally): string {
  const cells = `${thousands(on + partial)} ${on + partial === 1 ? "cell" : "cells"}`;
  if (on && partial) return `${cells} selected, ${thousands(partial)} of them partly`;
  if (on) return `${cells} selected`;
  return partial ? `${cells} partly selected` : "nothing selected";
}

/** The stack to show for a selection: this one if it holds any of it, or else the first that does. */
export function stackHolding(cells: Cells, stack: string, on: BitSet, partial: BitSet): string {
  const shown = cells.stacks.find((tab) => tab.name === stack) ?? cells.stacks[0];
  if (!shown) return "";
  const holds = ({ name }: StackTab) => {
    const found = tally(cells, name, on, partial);
    return found.on + found.partial > 0;
  };
  return [shown, ...cells.stacks].find(holds)?.name ?? shown.name;
}

/** The tabs of the stacks. Each tells how much is selected in its stack, also when it is not shown. */
export function stackTabs(cells: Cells, on: BitSet, partial: BitSet): TabShape[] {
  return cells.stacks.map(({ name, label, title }) => {
    const found = tally(cells, name, on, partial);
    const selected = found.on + found.partial;
    const said = tallyText(found);
    return {
      name,
      label,
      count: selected ? thousands(selected) : "",
      spoken: `${label}, ${said}`,
      title: title ? `${title}; ${said}` : said,
    };
  });
}
