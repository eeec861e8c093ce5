/** Draws the composition arrows over the cells. */

import type { Palette } from "../dom/theme";
import { numberAt } from "../model/cells";
import { ARROW, DASHES } from "../model/style";
import type { Arrow } from "../model/wire";
import type { Curve } from "./arrows";
import type { Scene } from "./scene";
import type { Context, Path } from "./shapes";

/** How much is left of an arrow that was tested and carries nothing to speak of. */
const IDLE = 0.3;

function lineOf({ points: [a, b, c, d] }: Curve, path: Path): Path {
  path.moveTo(a.x, a.y);
  path.bezierCurveTo(b.x, b.y, c.x, c.y, d.x, d.y);
  return path;
}

function headOf({ points: [, , c, d] }: Curve, size: number, path: Path): Path {
  const angle = Math.atan2(d.y - c.y, d.x - c.x);
  const corner = (turn: number, far: number) =>
    [d.x - far * Math.cos(angle + turn), d.y - far * Math.sin(angle + turn)] as const;
  path.moveTo(...corner(0, -size * 0.6));
  path.lineTo(...corner(0.5, size));
  path.lineTo(...corner(-0.5, size));
  path.closePath();
  return path;
}

export function paintArrows(context: Context, scene: Scene, palette: Palette): void {
  const { arrows, cells, hover } = scene;
  const colors: Record<Arrow["kind"], string> = { Q: palette.q, K: palette.k, V: palette.v };
  const at = hover ? numberAt(cells, hover) : -1;
  const touches = ({ arrow }: Curve) => arrow.source === at || arrow.target === at;
  const some = arrows.some(touches);
  context.lineCap = "butt";
  // The strongest comes last, on top of the others.
  for (const curve of arrows.toReversed()) {
    const { kind } = curve.arrow;
    const color = curve.plain ? palette.hatch : colors[kind];
    const width = ARROW.thin + ARROW.thicker * curve.strength;
    const line = lineOf(curve, scene.path());
    const head = headOf(curve, ARROW.head + ARROW.per_width * width, scene.path());
    const strength = ARROW.alpha + (1 - ARROW.alpha) * curve.strength;
    context.globalAlpha = some && !touches(curve) ? 0.12 : curve.idle ? IDLE * strength : strength;
    context.strokeStyle = palette.ground;
    context.lineWidth = width + ARROW.halo;
    context.stroke(line);
    context.lineWidth = ARROW.halo;
    context.stroke(head);
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = width;
    context.setLineDash([...DASHES[kind]]);
    context.stroke(line);
    context.setLineDash([]);
    context.fill(head);
    const start = scene.path();
    start.arc(curve.points[0].x, curve.points[0].y, width * 0.5 + 1, 0, 7);
    context.fill(start);
  }
  context.globalAlpha = 1;
}
