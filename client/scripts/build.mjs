// Builds dist/: one ES module and its types.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { build } from "esbuild";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/index.ts"],
  outfile: "dist/longwire.js",
  bundle: true,
  format: "esm",
  target: ["chrome116", "firefox121"],
  minify: true,
  legalComments: "none",
  banner: { js: "// longwire 0.1.0, MIT OR Apache-2.0" },
});
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit",
});
