/** Numbers as text. Pure. */

/** "12,345" of a whole number. A browser's own way loads its locales first, which takes milliseconds. */
export function thousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Three digits: "4.21", "0.0120", "−1.2e−5", "12,345"; a dash for what is not a number. `short` in `widget/compute/to_wire.py` is the same. */
export function short(value: number): string {
  return inDigits(value, 3);
}

/** The same with so many digits, where there is less room. */
export function inDigits(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text =
    size >= 100 || value === 0
      ? thousands(Math.round(value))
      : size >= 0.001
        ? value.toPrecision(digits)
        : value.toExponential(1);
  return text.replace(/-/g, "−");
}

/** The first row whose least size, with which it begins, is not above a size; nothing where there is none. */
export function tier(size: number, rows: readonly (readonly number[])[]): readonly number[] {
  return rows.find(([least]) => size >= least!) ?? [];
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
