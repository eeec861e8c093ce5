// Bundles what the browser gets, each file on its own and in need of nothing else: widget.js and widget.css, and
// offline.js, which starts the widget on a page without a kernel.
// `npm run build -- --outdir X` builds elsewhere, so that a test can compare the bytes with the committed ones.
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { minify } from "terser";
import { SHARED } from "./shared.mjs";

const { values } = parseArgs({
  options: { outdir: { type: "string", default: `${import.meta.dirname}/../src/headgrid/widget/static` } },
});
const { outdir } = values;
const bundled = { ...SHARED, outdir, write: false, minify: true, logLevel: "warning" };
// Apart, so that each has all that it needs: esbuild would name the files of one build after their folders.
const builds = [["src/widget.ts", "src/widget.css"], ["src/export/offline.ts"]].map((entryPoints) => ({
  ...bundled,
  entryPoints,
}));

/**
 * A few bytes in a hundred less than esbuild leaves, by several passes over the whole module. Functions become arrows
 * where they can: none of them is called by `new`. To read a property does nothing else.
 */
const smaller = async (script) => {
  const { code } = await minify(script, {
    module: true,
    ecma: 2022,
    compress: { passes: 4, pure_getters: true, unsafe_arrows: true },
    format: { ascii_only: true, comments: false },
  });
  return `${code}\n`;
};

/** Without the blank that esbuild leaves before a variable's value. */
const smallerSheet = (sheet) => sheet.replaceAll(/(--[\w-]+): /g, "$1:");

await mkdir(outdir, { recursive: true });
for (const { outputFiles } of await Promise.all(builds.map((one) => build(one))))
  for (const { path, text } of outputFiles)
    await writeFile(
      join(outdir, basename(path)),
      path.endsWith(".js") ? await smaller(text) : smallerSheet(text),
    );
