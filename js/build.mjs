// Bundles src/widget.ts and src/widget.css into two files that need nothing else.
// `npm run build -- --outdir X` builds elsewhere, so that a test can compare the bytes with the committed ones.
import { parseArgs } from "node:util";
import { build } from "esbuild";

const here = import.meta.dirname;
const { values } = parseArgs({
  options: { outdir: { type: "string", default: `${here}/../src/headgrid/widget/static` } },
});

await build({
  absWorkingDir: here,
  entryPoints: ["src/widget.ts", "src/widget.css"],
  outdir: values.outdir,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
