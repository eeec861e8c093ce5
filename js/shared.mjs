// What the build and the dev page's server have in common.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { transform } from "esbuild";

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

/** A style sheet that a script imports is text; one that a style sheet imports is bundled as ever. */
export const sheetAsText = (options = {}) => ({
  name: "sheet-as-text",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /\.css$/ }, ({ kind, path, resolveDir }) =>
      kind === "import-statement" ? { path: join(resolveDir, path), namespace: "text" } : null,
    );
    onLoad({ filter: /./, namespace: "text" }, async ({ path }) => {
      const sheet = await readFile(path, "utf8");
      const { code } = await transform(sheet, {
        loader: "css",
        target: TARGET,
        charset: "ascii",
        ...options,
      });
      return { contents: code.trimEnd(), loader: "text", watchFiles: [path] };
    });
  },
});

/**
 * What src/core.ts hands over is left out: its names stand for what `share` is given. What else there is in the same files
 * is bundled as ever.
 */
export const leaveOutCore = () => ({
  name: "leave-out-core",
  setup: async ({ onLoad, onResolve }) => {
    const source = join(SHARED.absWorkingDir, "src");
    const text = await readFile(join(source, "core.ts"), "utf8");
    const handed = new Map(
      [...text.matchAll(/^import \{([^}]*)\} from "(.*)";$/gm)].map(([, names, file]) => [file, names]),
    );
    const all = [...handed.values()].join(",");
    onResolve({ filter: /^\.\// }, ({ path, namespace }) => {
      if (namespace === "core" && path !== "./core") return { path: join(source, `${path}.ts`) };
      return handed.has(path) || path === "./core" ? { path, namespace: "core" } : null;
    });
    onLoad({ filter: /./, namespace: "core" }, ({ path }) => ({
      contents:
        path === "./core"
          ? `export let ${all}; export const share = (core) => { ({ ${all} } = core); };`
          : `export * from "${path}"; export { ${handed.get(path)} } from "./core";`,
    }));
  },
});
