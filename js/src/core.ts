/**
 * What the first module hands to the second, which so need not have it too: each import here is left out of panel.js.
 *
 * Functions only, and things that are used inside of functions: nothing is here yet while the second module is read.
 */
import { highestZ, passing, within } from "./arrows";
import { count, fromWire, has } from "./bits";
import { nameOf, numberAt, wordOf } from "./cells";
import { makeCopy } from "./clipboard";
import { paintArrows } from "./darts";
import { button, draw, freshId, keepKeys, make, OWN_KEYS, setOff, setText } from "./dom";
import { ticksOf } from "./legend";
import { clamp, short } from "./numbers";
import { paint } from "./paint";
import { rove } from "./rove";
import { scaleOf } from "./scales";
import { saidOf } from "./shades";
import { box, hatch, triangle } from "./shapes";
import { makeTabs } from "./tabs";
import { isPlain } from "./theme";

export const core = {
  highestZ,
  passing,
  within,
  count,
  fromWire,
  has,
  nameOf,
  numberAt,
  wordOf,
  makeCopy,
  paintArrows,
  button,
  draw,
  freshId,
  keepKeys,
  make,
  OWN_KEYS,
  setOff,
  setText,
  ticksOf,
  clamp,
  short,
  paint,
  rove,
  scaleOf,
  saidOf,
  box,
  hatch,
  triangle,
  makeTabs,
  isPlain,
};

/** Takes what was handed over. Bundled on its own, as on the dev page and in tests, the second module has it already. */
export function share(_core: typeof core): void {}
