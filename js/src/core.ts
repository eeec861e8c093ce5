/**
 * What the first module hands to the second, which so need not have it too: each import here is left out of panel.js.
 *
 * Functions only, and things that are used inside of functions: nothing is here yet while the second module is read.
 */
import { fromWire, has } from "./bits";
import { nameOf, numberAt, spotOf, wordOf } from "./cells";
import { atEnd, button, draw, freshId, keepKeys, make, OWN_KEYS, on, setOff, setText } from "./dom";
import { rectOf } from "./geometry";
import { clamp, short, thousands } from "./numbers";
import { paint } from "./paint";
import { rove } from "./rove";
import { scaleOf } from "./scales";
import { saidOf } from "./shades";
import { box, hatch, triangle } from "./shapes";
import { makeTabs } from "./tabs";
import { isPlain, readPalette } from "./theme";
import { eachVisible } from "./visible";

export const core = {
  fromWire,
  has,
  nameOf,
  numberAt,
  spotOf,
  wordOf,
  atEnd,
  button,
  draw,
  freshId,
  keepKeys,
  make,
  OWN_KEYS,
  on,
  setOff,
  setText,
  rectOf,
  clamp,
  short,
  thousands,
  paint,
  rove,
  scaleOf,
  saidOf,
  box,
  hatch,
  triangle,
  makeTabs,
  isPlain,
  readPalette,
  eachVisible,
};

/** Takes what was handed over. Bundled on its own, as on the dev page and in tests, the second module has it already. */
export function share(_core: typeof core): void {}
