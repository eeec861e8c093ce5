/** What colors the cells of one view: the menus, the legend with its threshold, and the strongest heads of the start. */
import { makeColorBy } from "./chrome/color_by";
import { makeLegend } from "./chrome/legend";
import { makeStart } from "./chrome/start";
import { patternChoice } from "./live/content";
import { positionOf, wordOf } from "./model/cells";
import type { Editor } from "./model/editor";
import type { Sync } from "./model/sync";
import type { View } from "./model/view";
import type { ViewColors } from "./model/view_colors";

export interface ColoringEvents {
  /** Looks at a cell, in whichever stack it is, and selects nothing. */
  look(cell: number): void;
  /** The cells have other colors. */
  recolored(): void;
}

export interface Coloring {
  colorBy: { element: HTMLElement };
  legend: { element: HTMLElement };
  start: { element: HTMLElement };
  update(theme: string, cellSide: number): void;
}

export function makeColoring(
  sync: Sync,
  view: View,
  editor: Editor,
  colors: ViewColors,
  events: ColoringEvents,
  signal: AbortSignal,
): Coloring {
  const { onText } = sync;
  const recolor = (metric: string) => sync.recolor(metric);
  const colorBy = makeColorBy({ recolor, patterns: (thumbnails) => onText.ask({ thumbnails }) }, signal);
  const legend = makeLegend(
    {
      scaled: (ends) => {
        colors.scaleTo(ends);
        events.recolored();
      },
      choose: (cells, what, add) => editor.choose(cells, what, add),
      look: events.look,
    },
    signal,
  );
  const start = makeStart({ look: events.look, recolor }, signal);
  const word = (cell: number) => {
    const position = positionOf(sync.cells, cell);
    return position ? wordOf(sync.cells, position) : "";
  };
  return {
    colorBy,
    legend,
    start,
    update: (theme, cellSide) => {
      const { cells, metric, colorError: error, progress } = sync;
      const { live } = view;
      const { metrics } = cells;
      const { values: cellValues, ranking, isScaled } = colors;
      const patterns = patternChoice(onText, cellSide);
      const hasMetrics = metrics.length > 0;
      colorBy.update({ metrics, cellValues, metric, error, progress, live, patterns });
      legend.update({ cellValues, whole: sync.cellValues, ranking, isScaled, theme, live, hasMetrics, word });
      start.update({ live, hasText: onText.task.available, cellValues, ranking, metrics, word });
    },
  };
}
