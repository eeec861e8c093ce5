// What the build and the dev page's server have in common.
/** The browsers of December 2023, the first that all know nested rules and `:has`: no rule has to be written out in full. */
const TARGET = ["es2022", "chrome120", "firefox121", "safari17.2"];

export const SHARED = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  format: "esm",
  target: TARGET,
  // A string with a single wider letter takes two bytes for every letter of it, in V8 and in Python.
  charset: "ascii",
  legalComments: "none",
};
