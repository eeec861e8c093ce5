/** A canvas context that writes SVG, so that pictures are painted by the same code as the grid. Pure. */
import type { Context, Path } from "../grid/shapes";

const n = (value: number): string => String(Math.round(value * 100) / 100);

/** A text as XML: what XML does not allow becomes a replacement character. */
export function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** A path as the `d` attribute of SVG. */
export class SvgPath implements Path {
  d = "";

  moveTo(x: number, y: number): void {
    this.d += `M${n(x)} ${n(y)}`;
  }

  lineTo(x: number, y: number): void {
    this.d += `L${n(x)} ${n(y)}`;
  }

  quadraticCurveTo(...at: [number, number, number, number]): void {
    this.d += `Q${at.map(n).join(" ")}`;
  }

  bezierCurveTo(...at: [number, number, number, number, number, number]): void {
    this.d += `C${at.map(n).join(" ")}`;
  }

  /** Only whole circles are drawn. */
  arc(x: number, y: number, radius: number): void {
    const half = `a${n(radius)} ${n(radius)} 0 1 0 `;
    this.d += `M${n(x - radius)} ${n(y)}${half}${n(2 * radius)} 0${half}${n(-2 * radius)} 0z`;
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.d += `M${n(x)} ${n(y)}h${n(width)}v${n(height)}h${n(-width)}z`;
  }

  /** One radius, or those of the four corners, from the left upper one on clockwise. */
  roundRect(x: number, y: number, width: number, height: number, radii?: unknown): void {
    const given = [radii].flat().map(Number);
    const [a, b, c, d] = Array.from({ length: 4 }, (_, k) =>
      Math.min(given[k % given.length]!, width / 2, height / 2),
    ) as [number, number, number, number];
    const turn = (r: number, dx: number, dy: number) =>
      r && `a${n(r)} ${n(r)} 0 0 1 ${n(r * dx)} ${n(r * dy)}`;
    this.d += [
      `M${n(x + a)} ${n(y)}h${n(width - a - b)}`,
      turn(b, 1, 1),
      `v${n(height - b - c)}`,
      turn(c, -1, 1),
      `h${n(c + d - width)}`,
      turn(d, -1, -1),
      `v${n(a + d - height)}`,
      turn(a, 1, -1),
      "z",
    ]
      .filter(Boolean)
      .join("");
  }

  closePath(): void {
    this.d += "z";
  }
}

/** Measures of text, which need a browser. */
export interface FontMetrics {
  width(text: string, font: string): number;
  /** How far the baseline is below what a canvas takes for the middle of the letters. */
  baseline(font: string): number;
}

const PLAIN = {
  fillStyle: "#000",
  strokeStyle: "#000",
  lineWidth: 1,
  lineCap: "butt" as CanvasLineCap,
  globalAlpha: 1,
  font: "",
  textAlign: "left" as CanvasTextAlign,
  textBaseline: "alphabetic" as CanvasTextBaseline,
  dashes: [] as number[],
  /** The transform of the shapes, as their attribute has it. */
  transform: "",
};

/** A canvas context that collects SVG shapes. Scaling is not supported: nothing that is painted is scaled. */
export class SvgContext implements Context {
  fillStyle!: string;
  strokeStyle!: string;
  lineWidth!: number;
  lineCap!: CanvasLineCap;
  globalAlpha!: number;
  font!: string;
  textAlign!: CanvasTextAlign;
  textBaseline!: CanvasTextBaseline;
  dashes!: number[];
  transform!: string;
  readonly #shapes: string[] = [];
  readonly #states: (typeof PLAIN)[] = [];

  constructor(
    font: string,
    private readonly metrics: FontMetrics,
  ) {
    Object.assign(this, PLAIN, { font });
  }

  save(): void {
    const state = Object.keys(PLAIN).map((key) => [key, this[key as keyof typeof PLAIN]]);
    this.#states.push(Object.fromEntries(state));
  }

  restore(): void {
    Object.assign(this, this.#states.pop());
  }

  translate(x: number, y: number): void {
    this.transform += `translate(${n(x)} ${n(y)})`;
  }

  rotate(angle: number): void {
    this.transform += `rotate(${n((angle * 180) / Math.PI)})`;
  }

  /** Painting starts from the origin and keeps to pixels of CSS. */
  setTransform(): void {
    this.transform = this.#states.at(-1)?.transform ?? "";
  }

  setLineDash(dashes: number[]): void {
    this.dashes = dashes;
  }

  measureText(text: string): { width: number } {
    return { width: this.metrics.width(text, this.font) };
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    const path = new SvgPath();
    path.rect(x, y, width, height);
    this.fill(path);
  }

  fill(path: Path): void {
    this.#add(path, `fill="${escaped(this.fillStyle)}"`);
  }

  stroke(path: Path): void {
    const dashes = this.dashes.length ? ` stroke-dasharray="${this.dashes.join(" ")}"` : "";
    const width = this.lineWidth === 1 ? "" : ` stroke-width="${n(this.lineWidth)}"`;
    this.#add(path, `fill="none" stroke="${escaped(this.strokeStyle)}"${width}${dashes}`);
  }

  fillText(text: string, x: number, y: number): void {
    const anchor = { center: "middle", right: "end", end: "end", left: "", start: "" }[this.textAlign];
    const more = [anchor && ` text-anchor="${anchor}"`, ` style="font:${escaped(this.font)}"`, this.#shared];
    const baseline = y + (this.textBaseline === "middle" ? this.metrics.baseline(this.font) : 0);
    const at = `x="${n(x)}" y="${n(baseline)}" fill="${escaped(this.fillStyle)}"`;
    this.#shapes.push(`<text ${at}${more.filter(Boolean).join("")}>${escaped(text)}</text>`);
  }

  /** All that was drawn, with what a screen reader says of it. */
  toString(width: number, height: number, title: string, desc: string): string {
    const size = `${n(width)} ${n(height)}`;
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${n(width)}" height="${n(height)}" ` +
      `viewBox="0 0 ${size}"><title>${escaped(title)}</title><desc>${escaped(desc)}</desc>` +
      `${this.#shapes.join("")}</svg>`
    );
  }

  get #shared(): string {
    const alpha = this.globalAlpha < 1 ? ` opacity="${n(this.globalAlpha)}"` : "";
    return (this.transform && ` transform="${this.transform}"`) + alpha;
  }

  #add(path: Path, paint: string): void {
    const { d } = path as SvgPath;
    if (d) this.#shapes.push(`<path ${paint}${this.#shared} d="${d}"/>`);
  }
}
