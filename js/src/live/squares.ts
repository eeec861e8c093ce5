/** Draws a pattern in squares: a pixel for each, which the style sheet enlarges. */
import { readPalette } from "../dom/theme";
import type { Squares } from "./patterns";

/** The colors of 256 steps, as red, green, blue and alpha: from the ground to the color of what is selected. */
export type Ramp = Uint8ClampedArray;

/** Any color of a style sheet as red, green and blue, the names of the system's colors included. */
function rgbOf(context: CanvasRenderingContext2D, color: string): Uint8ClampedArray {
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

/** The ramp of an element's theme; null where there is no canvas to ask. */
export function rampOf(element: HTMLElement): Ramp | null {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  const { ground, on } = readPalette(element);
  const [low, high] = [ground, on].map((color) => rgbOf(context, color)) as [Ramp, Ramp];
  const ramp = new Uint8ClampedArray(4 * 256).fill(255);
  for (let k = 0; k < 256; k++)
    for (let c = 0; c < 3; c++) ramp[4 * k + c] = low[c]! + ((high[c]! - low[c]!) * k) / 255;
  return ramp;
}

/** The pixels of squares: none where no query attends to a key, and the full color for the largest. */
export function pixelsOf(
  { rows, columns, roots, most }: Squares,
  ramp: Ramp,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * rows * columns);
  for (let i = 0; i < roots.length; i++) {
    if (Number.isNaN(roots[i]!)) continue;
    const step = most ? Math.round((255 * roots[i]!) / most) : 0;
    for (let c = 0; c < 4; c++) pixels[4 * i + c] = ramp[4 * step + c]!;
  }
  return pixels;
}

export function drawSquares(canvas: HTMLCanvasElement, squares: Squares, ramp: Ramp | null): void {
  const { rows, columns } = squares;
  if (canvas.width !== columns || canvas.height !== rows)
    Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  if (ramp && context) context.putImageData(new ImageData(pixelsOf(squares, ramp), columns, rows), 0, 0);
}
