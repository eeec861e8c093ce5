// Bundles what the browser gets, each file on its own and in need of nothing else:
// widget.js and widget.css, which every page has; panel.js, the second module, with its style sheet as a string inside;
// offline.js, which starts the widget on a page without a kernel.
// `npm run build -- --outdir X` builds elsewhere, so that a test can compare the bytes with the committed ones.
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { leaveOutCore, SHARED, sheetAsText } from "./shared.mjs";

const { values } = parseArgs({
  options: { outdir: { type: "string", default: `${import.meta.dirname}/../src/headgrid/widget/static` } },
});
const minified = { ...SHARED, outdir: values.outdir, minify: true, logLevel: "warning" };

await build({ ...minified, entryPoints: ["src/widget.ts", "src/widget.css"] });
await build({
  ...minified,
  entryPoints: ["src/panel.ts"],
  plugins: [leaveOutCore(), sheetAsText({ minify: true })],
});
await build({ ...minified, entryPoints: ["src/offline.ts"] });
