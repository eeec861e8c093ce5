/** What one view says of the cell that is pointed at or that the keyboard is on: the status line, and a card beside it. */
import type { Status } from "./chrome/status";
import type { Grid } from "./grid/grid";
import { isSmall } from "./grid/lens";
import { meanText } from "./grid/sums";
import { detailOf, type TooltipContent, type TooltipView, tooltipOf } from "./grid/tooltip";
import { valueText } from "./model/cell_values";
import { nameOf, numberAt, type Position, wordOf } from "./model/cells";
import type { Editor } from "./model/editor";
import { placeText } from "./model/ranking";
import type { Sync } from "./model/sync";
import type { View } from "./model/view";
import type { ViewColors } from "./model/view_colors";

export interface ReadoutParts {
  sync: Sync;
  view: View;
  editor: Editor;
  colors: ViewColors;
  grid: Grid;
  status: Status;
  tooltip: TooltipView;
}

/** Returns what shows it as things are now. */
export function makeReadout({ sync, view, editor, colors, grid, status, tooltip }: ReadoutParts): () => void {
  const contentOf = (position: Position | null): TooltipContent | null => {
    if (!position) return null;
    const { cells } = view;
    const place = placeText(colors.ranking, numberAt(cells, position));
    const { on, partial, cellValues, saved, arrows } = sync;
    return tooltipOf(cells, position, on, partial, cellValues, saved, arrows.arrows, place);
  };
  /** What the value of a cell is, or of a row or a column the mean of theirs. */
  const valueAt = (position: Position) => {
    const n = numberAt(view.cells, position);
    return n >= 0 ? valueText(sync.cellValues, n) : meanText(view.cells, position, sync.cellValues);
  };
  /** The card of a cell under the pointer; where cells are small, the keyboard's too, because its lens is what one reads by. */
  const showCard = (hover: Position | null) => {
    const byKeys = view.focused && view.byKey && isSmall(grid.cellSide()) ? view.cursor : null;
    const position = hover ?? byKeys;
    const content = contentOf(position);
    if (!position || !content) return tooltip.show(null, null);
    tooltip.show(grid.rectOfPosition(position), content, () => grid.pictureOf(position), position !== hover);
  };
  return () => {
    const { cells } = view;
    const position = view.hover ?? (view.focused ? view.cursor : null);
    const brush = editor.brushText;
    const hover = brush ? null : view.hover;
    showCard(hover);
    const described = hover ? null : contentOf(position);
    const value = position ? valueAt(position) : "";
    const here = position && {
      word: wordOf(cells, position),
      name: nameOf(cells, position) + (value && `, ${value}`),
      detail: described ? detailOf(described) : "",
    };
    status.update(brush ? { word: "", name: brush } : here, sync.text);
  };
}
