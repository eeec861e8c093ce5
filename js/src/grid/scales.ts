/** Scales of colors as a few stops each, to be told apart by every eye and on either ground. Pure. */

import { luminance } from "../dom/theme";
import { clamp } from "../model/numbers";
import { DIVERGING, LEVELS, SEQUENTIAL } from "../model/style";

export interface Scale {
  /** Evenly spaced colors, from low to high. */
  colors: readonly string[];
  /** What is drawn upon each of them. */
  marks: readonly string[];
  /** For a legend. */
  gradient: string;
}

type Rgb = readonly [number, number, number];

function stopsOf(text: string): Rgb[] {
  return text.split(" ").map((hex) => {
    const n = Number.parseInt(hex, 16);
    return [n >> 16, (n >> 8) & 255, n & 255];
  });
}

function between(stops: readonly Rgb[], at: number): number[] {
  const x = at * (stops.length - 1);
  const k = Math.min(stops.length - 2, Math.floor(x));
  return stops[k]!.map((v, i) => Math.round(v + (stops[k + 1]![i]! - v) * (x - k)));
}

function build(text: string): Scale {
  const stops = stopsOf(text);
  const all = Array.from({ length: LEVELS + 1 }, (_, k) => between(stops, k / LEVELS));
  return {
    colors: all.map((rgb) => `rgb(${rgb.join(",")})`),
    // Above this luminance black has more contrast than white.
    marks: all.map((rgb) => (luminance(rgb) > 0.179 ? "#000" : "#fff")),
    gradient: `linear-gradient(90deg,#${text.replaceAll(" ", ",#")})`,
  };
}

const built = new Map<string, Scale>();

export function scaleOf(diverging: boolean, theme: string): Scale {
  const text = diverging ? DIVERGING[theme === "dark" ? "dark" : "light"] : SEQUENTIAL;
  const scale = built.get(text) ?? build(text);
  built.set(text, scale);
  return scale;
}

/** Which of a scale's colors a value has; the middle where all values are the same. */
export function levelOf(value: number, { low, high }: { low: number; high: number }): number {
  const at = high > low ? clamp((value - low) / (high - low), 0, 1) : 0.5;
  return Math.round(at * LEVELS);
}
