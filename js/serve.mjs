// `npm run dev`: the widget on a plain page with a stand-in for the kernel, rebuilt at each reload.
import { context } from "esbuild";
import { SHARED } from "./shared.mjs";

const page = await context({
  ...SHARED,
  entryPoints: ["dev/main.ts", "src/widget.css"],
  outdir: ".",
  write: false,
});
const { port } = await page.serve({
  servedir: ".",
  host: "127.0.0.1",
  port: Number(process.argv[2] ?? 8123),
});
console.log(`http://127.0.0.1:${port}/dev/index.html?model=demo`);
