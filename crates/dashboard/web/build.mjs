// Bundles what the browser loads into dist/, which is not in the repository.
import { build } from "esbuild";
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: { app: "src/app.js", chart: "src/chart.css", shell: "src/shell.css" },
  outdir: "dist",
  bundle: true,
  minify: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  chunkNames: "part-[hash]",
  legalComments: "none",
  logLevel: "warning",
});
