/**
 * What the first module hands to the second, which so need not have it too: each import here is left out of panel.js.
 *
 * Functions only, and things that are used inside of functions: nothing is here yet while the second module is read.
 */

import { rectOf } from "../grid/geometry";
import { paint } from "../grid/paint";
import { scaleOf } from "../grid/scales";
import { box, hatch, triangle } from "../grid/shapes";
import { eachVisible } from "../grid/visible";
import { makeTabs } from "../inspector/tabs";
import { fromWire, has } from "../model/bits";
import { nameOf, numberAt, spotOf, wordOf } from "../model/cells";
import { clamp, short, thousands } from "../model/numbers";
import { saidOf } from "../model/values";
import { atEnd, button, draw, freshId, keepKeys, make, OWN_KEYS, on, setOff, setText } from "./dom";
import { rove } from "./roving";
import { isPlain, readPalette } from "./theme";

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
