/** The second module: what is needed only once somebody uses the widget, or once there is more to show than the grid. */
import card from "../grid/tooltip.css";
import inspector from "../inspector/inspector.css";
import help from "./help.css";
import more from "./more.css";
import saved from "./saved.css";

export { share } from "./core";
export { makeExtras } from "./extras";

export const css = more + saved + help + card + inspector;
