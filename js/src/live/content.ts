/** What is shown of a text, from the answers of Python. Pure. */
import { LEAST_PATTERN } from "../grid/patterns";
import type { LiveSync } from "../model/live_sync";
import type { Sync } from "../model/sync";
import type { NextToken } from "../model/wire";
import type { LiveContent } from "./live_panel";

export function liveContent(sync: Sync, live: boolean, cell: number): LiveContent {
  const { onText, focus } = sync;
  const { view, query, task, effect } = onText;
  return {
    view,
    isCurrent: !live || view?.focus === focus.n,
    hasText: task.rows.length > 0 || (view?.tokens.length ?? 0) > 0,
    isAsked: query.panel,
    effect,
    cell,
    selection: sync.text.selection,
    live,
  };
}

/** The next tokens of the row that is shown, by whichever answer has them. */
export function nextOf({ view, effect, query }: LiveSync): readonly NextToken[] {
  if (view?.next.length) return view.next;
  return effect.row === query.row ? effect.next : [];
}

/** Whether cells can show attention patterns, whether they do, and what is to be said of them. */
export interface PatternChoice {
  isThere: boolean;
  isOn: boolean;
  note: string;
}

export function patternChoice(onText: LiveSync, cellSide: number): PatternChoice {
  const { task, query } = onText;
  return { isThere: task.available, isOn: query.thumbnails, note: patternsNote(onText, cellSide) };
}

/** What is to be said of the patterns in the cells: why there are none, or what their squares stand for; "" for nothing. */
export function patternsNote({ query, thumbnails, task }: LiveSync, cellSide: number): string {
  if (!query.thumbnails) return "";
  if (!task.rows.length) return "type a text for them into the box above";
  // Without any, there is a reason, or they are still to come: those of the text before may have been taken away meanwhile.
  if (!thumbnails || (!thumbnails.size && !thumbnails.note)) return "running the model\u2026";
  if (!thumbnails.size) return thumbnails.note;
  if (cellSide && cellSide < LEAST_PATTERN)
    return `cells are ${Math.floor(cellSide)} px, patterns need ${LEAST_PATTERN}: zoom in`;
  return thumbnails.note;
}
