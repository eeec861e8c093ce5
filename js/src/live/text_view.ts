/** One view of what heads do on a text: the row of the text above the grid, and the panel in the Live tab. */

import { hasTextTab } from "../inspector/content";
import type { Sync } from "../model/sync";
import type { View } from "../model/view";
import { liveContent, nextOf } from "./content";
import { type LivePanel, makeLivePanel } from "./live_panel";
import { makePromptRow } from "./prompt_row";

export interface TextView {
  prompt: HTMLElement;
  panel: LivePanel;
  /** Asks for the description of a cell, and for what it does on the text where that is in sight. */
  inspect(cell: number): void;
  /** A view was opened: where a task came with it, it begins with what the heads do on that. */
  begin(): void;
  /** A tab of the inspector was chosen. */
  opened(tab: string): void;
  /** Shows what there is, for the cell that is looked at. */
  show(cell: number): void;
}

/** `leave` is called where the user is done with the text. */
export function makeTextView(sync: Sync, view: View, leave: () => void, signal: AbortSignal): TextView {
  const { onText } = sync;
  signal.addEventListener("abort", () => onText.close());
  const prompt = makePromptRow(
    {
      send: (text, contrast) => {
        // Who sends a text wants to see what happens on it.
        view.inspector.tab = "live";
        onText.ask({ row: 0, panel: true });
        return onText.send(text, contrast);
      },
      row: (row) => onText.ask({ row }),
      leave,
    },
    signal,
  );
  const panel = makeLivePanel(signal);
  return {
    prompt: prompt.element,
    panel,
    inspect: (cell) => {
      sync.inspect(cell);
      const { tab } = view.inspector;
      const isFirst = tab === "" && (onText.query.panel || onText.task.rows.length > 0);
      onText.ask({ panel: (isFirst || tab === "live") && hasTextTab(sync, true, cell) });
    },
    begin: () => {
      const isThere = view.live && onText.task.rows.length > 0 && hasTextTab(sync, true, sync.focus.cell);
      if (isThere && view.inspector.tab === "") onText.ask({ panel: true });
    },
    opened: (tab) => {
      if (view.live) onText.ask({ panel: tab === "live" });
    },
    show: (cell) => {
      const { task, query, isReading } = onText;
      prompt.update({
        task,
        row: query.row,
        isReading,
        next: nextOf(onText),
        live: view.live && !sync.isPage,
      });
      panel.update(liveContent(sync, view.live, cell));
    },
  };
}
