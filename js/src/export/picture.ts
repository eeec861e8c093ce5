/** A picture of the grid as a file: all of it, with its title, what is selected, and what the colors mean. */

import { beyond, lnText, ticksOf } from "../chrome/legend";
import { isPlain, type Palette } from "../dom/theme";
import type { Curve } from "../grid/arrows";
import { paintArrows } from "../grid/draw_arrows";
import { paint } from "../grid/paint";
import { scaleOf } from "../grid/scales";
import type { Scene } from "../grid/scene";
import { box, type Context, hatch, triangle } from "../grid/shapes";
import { has } from "../model/bits";
import { BEYOND, DOT, FRAME, LEGEND, PICTURE } from "../model/style";
import { type FontMetrics, SvgContext, SvgPath } from "./svg";

/** What stands around the cells. */
export interface Caption {
  /** The selection as text, and in numbers. */
  selection: string;
  counts: string;
  /** The names of the saved selections that are marked, in the order of `Scene.marks`. */
  marks: readonly string[];
}

const RATIO = 2;
/** Browsers draw no canvas that is much larger. */
const MOST_PIXELS = 12_000;

const FAMILY = /^[^,]*?[\d.]+px\s*/;
const MONO = "11px ui-monospace, Menlo, Consolas, monospace";

type MeasureText = (text: string, font: string) => number;

/** A text in lines of a width, broken at blanks where there are any; more than `most` of them end in "…". */
export function wrap(text: string, room: number, most: number, measure: (text: string) => number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest) {
    if (measure(rest) <= room) return [...lines, rest];
    const last = lines.length === most - 1;
    const end = last ? "…" : "";
    let [low, high] = [1, rest.length];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (measure(rest.slice(0, middle) + end) <= room) low = middle;
      else high = middle - 1;
    }
    if (last) return [...lines, rest.slice(0, low) + end];
    const blank = rest.lastIndexOf(" ", low);
    const cut = blank > low / 2 ? blank : low;
    lines.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  return lines;
}

/** One entry of the legend, painted with its left upper corner at the origin. */
interface Entry {
  width: number;
  height: number;
  paint(context: Context): void;
}

function entriesOf(scene: Scene, palette: Palette, caption: Caption, measure: MeasureText): Entry[] {
  const { cells, on, partial, marks, geometry } = scene;
  const cellValues = isPlain(palette) ? null : scene.cellValues;
  const side = { x: 0, y: 0, width: PICTURE.swatch, height: PICTURE.swatch };
  const entries: Entry[] = [];
  const write = (context: Context, text: string, x: number, y: number, color: string) => {
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = color;
    context.fillText(text, x, y);
  };
  const stroke = (context: Context, color: string, width: number, inset: number) => {
    const path = scene.path();
    box(path, side, inset);
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke(path);
  };
  const add = (text: string, draw: (context: Context) => void) =>
    entries.push({
      width: 20 + measure(text, palette.font),
      height: 14,
      paint: (context) => {
        const cell = scene.path();
        box(cell, side);
        context.fillStyle = palette.cell;
        context.fill(cell);
        stroke(context, palette.edge, 1, 0.5);
        draw(context);
        write(context, text, 20, 7, palette.muted);
      },
    });
  const fill = (context: Context, color: string, shape: (path: ReturnType<Scene["path"]>) => void) => {
    const path = scene.path();
    shape(path);
    context.fillStyle = color;
    context.fill(path);
  };
  /** Whether a cell that is in the picture is so. */
  const some = (test: (n: number) => boolean) =>
    geometry.bands.some((_, b) => {
      const band = cells.bands[b]!;
      const first = cells.first[b]!;
      for (let i = first; i < first + band.rows.length * band.columns.length; i++)
        if (!has(cells.absent, i) && test(i)) return true;
      return false;
    });
  const say = (text: string) =>
    entries.push({
      width: measure(text, palette.font),
      height: 14,
      paint: (context) => write(context, text, 0, 7, palette.muted),
    });
  if (cellValues) {
    const bold = `bold ${palette.font}`;
    const ln = lnText(cellValues.ln);
    const said = ln ? `${cellValues.label} (${ln})` : cellValues.label;
    const label = measure(said, bold) + 10;
    const wide = PICTURE.scale;
    const ticks = ticksOf(cellValues);
    const { colors } = scaleOf(cellValues.diverging, palette.theme);
    entries.push({
      width: label + wide,
      height: 26,
      paint: (context) => {
        context.font = bold;
        write(context, said, 0, 7, palette.text);
        context.font = palette.font;
        // Each reaches to the end, so that no seam shows between two.
        for (const [k, color] of colors.entries()) {
          context.fillStyle = color;
          const left = (wide * k) / colors.length;
          context.fillRect(label + left, 2, wide - left, 9);
        }
        for (const [k, tick] of ticks.entries()) {
          const at = k / (ticks.length - 1);
          write(context, tick, label + at * (wide - measure(tick, palette.font)), 20, palette.muted);
        }
      },
    });
    if (cellValues.range) say(cellValues.range);
    if (beyond(cellValues).some(Boolean))
      add(LEGEND.beyond, (context) =>
        fill(context, palette.text, (path) => {
          const [x, y, long] = [side.width - BEYOND.inset, BEYOND.inset, BEYOND.side * side.height];
          path.moveTo(x - long, y);
          path.lineTo(x, y);
          path.lineTo(x, y + long);
        }),
      );
    if (some((i) => Number.isNaN(cellValues.values[i])))
      add(LEGEND.missing, (context) =>
        fill(context, palette.muted, (path) => path.arc(7, 7, DOT.roomy, 0, 7)),
      );
  }
  if (some((i) => has(on, i)))
    add(LEGEND.selected, (context) => {
      if (!cellValues) return fill(context, palette.on, (path) => box(path, side));
      const [line, gap] = FRAME.roomy;
      stroke(context, palette.ground, gap, line + gap / 2);
      stroke(context, palette.on, line, line / 2);
    });
  if (some((i) => has(partial, i)))
    add(LEGEND.partial, (context) =>
      fill(context, cellValues ? palette.text : palette.partial, (path) => triangle(path, side)),
    );
  if (some((i) => has(cells.zero, i)))
    add(LEGEND.zero, (context) => {
      const path = scene.path();
      hatch(path, side);
      context.strokeStyle = palette.hatch;
      context.lineWidth = 1;
      context.stroke(path);
    });
  for (const kind of ["Q", "K", "V"] as const) {
    if (!scene.arrows.some(({ arrow }) => arrow.kind === kind)) continue;
    const text = `${kind}${LEGEND.composition}`;
    const points = [3, 9, 17, 25].map((x) => ({ x, y: 7 })) as unknown as Curve["points"];
    const arrow = { source: -1, target: -1, kind, value: 0, z: 0, carries: null, stands_out: false };
    entries.push({
      width: 36 + measure(text, palette.font),
      height: 14,
      paint: (context) => {
        const plain = scene.arrows.every((one) => one.plain || one.arrow.kind !== kind);
        const arrows = [{ arrow, points, strength: 0.5, plain, idle: false }];
        paintArrows(context, { ...scene, hover: null, arrows }, palette);
        write(context, text, 36, 7, palette.muted);
      },
    });
  }
  if (scene.arrows.length) say(LEGEND.not_use);
  if (scene.arrows.some(({ plain }) => plain)) say(LEGEND.gray);
  for (const [k, { color }] of marks.entries())
    add(caption.marks[k] ?? "", (context) => fill(context, color, (path) => path.rect(3, 2, 8, 3)));
  return entries;
}

/** Where everything stands, and what paints all but the cells. */
export function frameOf(
  scene: Scene,
  palette: Palette,
  title: string,
  caption: Caption,
  measure: MeasureText,
) {
  const width = Math.max(PICTURE.least, scene.geometry.width) + 2 * PICTURE.padding;
  const heading = palette.font.replace(FAMILY, "bold 13px ");
  const lines: { text: string; font: string; color: string; y: number }[] = [];
  let y = PICTURE.padding;
  const add = (text: string, font: string, color: string, most: number, pitch: number) => {
    for (const line of wrap(text, width - 2 * PICTURE.padding, most, (part) => measure(part, font))) {
      lines.push({ text: line, font, color, y: y + pitch / 2 });
      y += pitch;
    }
  };
  add(title, heading, palette.text, 2, 18);
  add(caption.selection, MONO, palette.text, PICTURE.lines, 15);
  add(caption.counts, palette.font, palette.muted, 1, 16);
  const top = y + 8;
  let [x, below, tall] = [PICTURE.padding, top + scene.geometry.height + 12, 0];
  const placed = entriesOf(scene, palette, caption, measure).map((entry) => {
    if (x > PICTURE.padding && x + entry.width > width - PICTURE.padding)
      [x, below, tall] = [PICTURE.padding, below + tall + 8, 0];
    const at = { entry, x, y: below };
    x += entry.width + 18;
    tall = Math.max(tall, entry.height);
    return at;
  });
  return {
    width,
    height: (placed.length ? below + tall : top + scene.geometry.height) + PICTURE.padding,
    left: PICTURE.padding,
    top,
    paint(context: Context): void {
      context.fillStyle = palette.ground;
      context.fillRect(0, 0, this.width, this.height);
      context.textAlign = "left";
      context.textBaseline = "middle";
      for (const { text, font, color, y } of lines) {
        context.font = font;
        context.fillStyle = color;
        context.fillText(text, PICTURE.padding, y);
      }
      context.font = palette.font;
      for (const { entry, x, y } of placed) {
        context.save();
        context.translate(x, y);
        entry.paint(context);
        context.restore();
      }
    },
  };
}

const staticScene = (scene: Scene, path: Scene["path"], ratio: number): Scene => ({
  ...scene,
  ...{ cursor: null, hover: null, focused: false, scroll: { x: 0, y: 0 }, ratio, path },
  ...{ width: scene.geometry.width, height: scene.geometry.height },
});

function makeCanvas(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width);
  canvas.height = Math.round(height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no canvas");
  return [canvas, context];
}

function makeFontMetrics(): FontMetrics {
  const [, context] = makeCanvas(1, 1);
  const measured = (text: string, font: string, baseline: CanvasTextBaseline) => {
    context.font = font;
    context.textBaseline = baseline;
    return context.measureText(text);
  };
  return {
    width: (text, font) => measured(text, font, "middle").width,
    baseline: (font) =>
      measured("x", font, "alphabetic").fontBoundingBoxAscent -
      measured("x", font, "middle").fontBoundingBoxAscent,
  };
}

/** The picture as SVG. */
export function svgOf(scene: Scene, palette: Palette, title: string, caption: Caption): string {
  const metrics = makeFontMetrics();
  const svg = new SvgContext(palette.font, metrics);
  const path = () => new SvgPath();
  const shown = staticScene(scene, path, 1);
  const frame = frameOf(shown, palette, title, caption, metrics.width);
  frame.paint(svg);
  svg.translate(frame.left, frame.top);
  svg.save();
  paint(svg, shown, palette);
  const desc = `Selected: ${caption.selection} (${caption.counts}).`;
  return svg.toString(frame.width, frame.height, `HeadGrid: ${title}`, desc);
}

/** The picture on a canvas, with two pixels for each one of CSS. */
export function canvasOf(scene: Scene, palette: Palette, title: string, caption: Caption): HTMLCanvasElement {
  const path = () => new Path2D();
  const frame = frameOf(staticScene(scene, path, 1), palette, title, caption, makeFontMetrics().width);
  const ratio = Math.min(RATIO, MOST_PIXELS / Math.max(frame.width, frame.height));
  const [canvas, context] = makeCanvas(frame.width * ratio, frame.height * ratio);
  const shown = staticScene(scene, path, ratio);
  const [cells, inner] = makeCanvas(shown.width * ratio, shown.height * ratio);
  paint(inner as unknown as Context, shown, palette);
  context.scale(ratio, ratio);
  frame.paint(context as unknown as Context);
  context.drawImage(cells, frame.left, frame.top, shown.width, shown.height);
  return canvas;
}

/** The name of a file: the title's letters and digits. */
export function fileName(title: string, kind: string): string {
  const words = title.normalize("NFKD").match(/[a-z0-9]+/gi) ?? ["grid"];
  return `headgrid-${words.join("-").slice(0, 60)}.${kind}`;
}

/** Has the browser save a picture. */
export async function savePicture(
  kind: "png" | "svg",
  scene: Scene,
  palette: Palette,
  title: string,
  caption: Caption,
): Promise<void> {
  let blob: Blob | null;
  if (kind === "svg") blob = new Blob([svgOf(scene, palette, title, caption)], { type: "image/svg+xml" });
  else {
    const canvas = canvasOf(scene, palette, title, caption);
    blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve));
  }
  if (!blob) throw new Error("the browser could not make the picture");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName(title, kind);
  link.click();
  // The browser reads it a moment later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
