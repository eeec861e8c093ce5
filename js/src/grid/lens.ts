/** The lens: the neighborhood of a cell at a size at which it can be read, where the cells themselves are small. */

import type { Palette } from "../dom/theme";
import { type Cells, numberAt, type Position } from "../model/cells";
import { ROOMY } from "../model/style";
import type { Measure } from "./columns";
import { type Geometry, layOut, rectOf } from "./geometry";
import { paintBands, paintGround } from "./paint";
import { contextOf } from "./painted_cells";
import { thumbnail } from "./patterns";
import type { Scene } from "./scene";
import { lookedAt } from "./shapes";
import type { CardPicture } from "./tooltip";

/** The side of a cell under the lens, and what the lens shows, in pixels. */
const SIDE = 16;
const [WIDTH, HEIGHT] = [170, 114];

/** Whether cells of a side are looked at through it. */
export function isSmall(cell: number): boolean {
  return cell > 0 && cell < ROOMY;
}

export interface Lens {
  /** What stands in the tooltip of a cell of a scene: its pattern, and what is around it where cells are small. */
  pictureOf(scene: Scene, position: Position, palette: Palette, measure: Measure): CardPicture;
}

export function makeLens(): Lens {
  const canvas = document.createElement("canvas");
  canvas.className = "hg-lens";
  const context = contextOf(canvas);
  let of: Cells | null = null;
  let geometry: Geometry | null = null;
  const paint = (scene: Scene, position: Position, palette: Palette, measure: Measure) => {
    if (!context) return;
    if (of !== scene.cells || !geometry) geometry = layOut(scene.cells, SIDE, measure);
    of = scene.cells;
    const { ratio } = scene;
    const [across, down] = [Math.round(WIDTH * ratio), Math.round(HEIGHT * ratio)];
    if (canvas.width !== across || canvas.height !== down)
      Object.assign(canvas, { width: across, height: down });
    canvas.style.cssText = `width:${WIDTH}px;height:${HEIGHT}px`;
    const at = rectOf(geometry, position);
    const near: Scene = {
      ...scene,
      ...{ geometry, width: WIDTH, height: HEIGHT, patterns: null, arrows: [], cursor: null, hover: null },
      scroll: {
        x: Math.round(at.x + at.width / 2 - WIDTH / 2),
        y: Math.round(at.y + at.height / 2 - HEIGHT / 2),
      },
    };
    paintGround(context, near, palette);
    paintBands(context, near, palette);
    lookedAt(context, near.path, at, palette, false);
  };
  return {
    pictureOf: (scene, position, palette, measure) => {
      const small = isSmall(scene.geometry.cell);
      if (small) paint(scene, position, palette, measure);
      const { patterns } = scene;
      const values = patterns?.of.get(numberAt(scene.cells, position));
      return {
        lens: small ? canvas : null,
        pattern: values ? thumbnail(values, patterns!.size, palette) : null,
      };
    },
  };
}
