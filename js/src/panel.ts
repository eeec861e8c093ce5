/** The second module: what is needed only once somebody uses the widget. */
import card from "./card.css";
import help from "./help.css";
import inspector from "./inspector.css";
import saved from "./saved.css";

export { makeArrowBar } from "./arrowbar";
export { curvesOf } from "./arrows";
export { cardOf, detailOf, makeCard } from "./card";
export { share } from "./core";
export { paintArrows } from "./darts";
export { makeHelp } from "./help";
export { makeInspector } from "./inspector";
export { savePicture } from "./picture";
export { makeSaved } from "./saved";

export const css = saved + help + card + inspector;
