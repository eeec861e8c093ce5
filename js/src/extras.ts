/** What comes with the second module, beside the inspector: help, saved selections, the card of a cell, pictures. */
import type { Announcer } from "./announce";
import type { CardContent } from "./card";
import type { Spot } from "./cells";
import type { Deeds } from "./deeds";
import { make } from "./dom";
import type { Grid } from "./grid";
import type { PanelHost, PanelModule } from "./panelhost";
import type { Sync } from "./sync";
import { readPalette } from "./theme";
import type { View } from "./view";

export interface Extras {
  help: HTMLElement;
  saved: HTMLElement;
  card: HTMLElement;
  /** Opens or closes the help, now or once it is there. */
  toggleHelp(): void;
  picture(kind: "png" | "svg"): void;
  /** The saved selections, or what stands in their way, changed. */
  update(): void;
  /** The card of the cell that the pointer is on. Returns what there is to say of a cell where no card does. */
  point(hover: Spot | null, cursor: Spot | null): string;
}

type Live<K extends keyof PanelModule> = PanelModule[K] extends (...given: never[]) => infer T ? T : never;

export function makeExtras(
  host: PanelHost,
  grid: Grid,
  sync: Sync,
  view: View,
  deeds: Deeds,
  announcer: Announcer,
  helped: (open: boolean) => void,
  signal: AbortSignal,
): Extras {
  const places = { help: make("div"), saved: make("div", { class: "hg-row hg-saved" }), card: make("div") };
  let there: PanelModule | null = null;
  let help: Live<"makeHelp"> | null = null;
  let saved: Live<"makeSaved"> | null = null;
  let card: Live<"makeCard"> | null = null;

  host.late((module) => {
    there = module;
    grid.extend(module);
    help = module.makeHelp(helped, grid.focus, signal);
    saved = module.makeSaved(
      view.marks,
      { deed: deeds.ask, came: announcer.done, shown: grid.refresh, say: announcer.say },
      signal,
    );
    card = module.makeCard(signal);
    places.help.replaceWith(help.element);
    places.saved.append(...saved.nodes);
    places.card.replaceWith(card.element);
    update();
  });

  const update = () => {
    const { saved: items, cells, text, history } = sync;
    const { selection, error } = text;
    saved?.update({
      items,
      count: cells.count,
      selection,
      done: history.done,
      error: error?.message ?? "",
      live: view.live,
    });
    places.saved.classList.toggle("hg-some", items.length > 0);
  };
  const contentOf = (spot: Spot | null): CardContent | null =>
    (spot && there?.cardOf(view.cells, spot, sync.on, sync.partial, sync.shades, sync.saved)) ?? null;
  const save = async (kind: "png" | "svg", module: PanelModule) => {
    const scene = grid.picture();
    if (!scene) return;
    const { selection, counts } = sync.text;
    const marks = sync.saved.map(({ name }) => name).filter((name) => view.marks.includes(name));
    const caption = { selection, counts, marks };
    try {
      const { model, stacks } = view.cells;
      const stack = stacks.find(({ name }) => name === view.stack)?.label;
      const title = stack ? `${model}, ${stack}` : model;
      await module.savePicture(kind, scene, readPalette(grid.element), title, caption);
      announcer.say("picture saved");
    } catch (error) {
      announcer.say(`no picture was saved: ${error}`);
    }
  };
  return {
    ...places,
    toggleHelp: () => host.late(() => help?.toggle()),
    picture: (kind) => host.late((module) => void save(kind, module)),
    update,
    point: (hover, cursor) => {
      const content = contentOf(hover);
      card?.show(hover && content && grid.rectOfSpot(hover), content);
      const described = hover ? null : contentOf(cursor);
      return described && there ? there.detailOf(described) : "";
    },
  };
}
