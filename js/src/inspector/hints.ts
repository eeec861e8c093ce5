/** What stands in the inspector while there is nothing else to show. */
export const HINT = "Click a cell to see what it does and where its weights are.";
export const WAIT = "Reading the weights…";
export const ALONE = "There is no kernel: only what was read before can be shown.";
