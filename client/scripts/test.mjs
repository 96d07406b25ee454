// Bundles each test file for node and runs them with its test runner.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("build", { recursive: true, force: true });
const entryPoints = readdirSync("test")
  .sort()
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => `test/${name}`);
await build({
  entryPoints,
  outdir: "build",
  bundle: true,
  platform: "node",
  external: ["react", "react-dom", "happy-dom"],
  ignoreAnnotations: true,
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  outExtension: { ".js": ".mjs" },
});
const files = readdirSync("build")
  .sort()
  .map((name) => `build/${name}`);
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", ...process.argv.slice(2), ...files],
  {
    stdio: "inherit",
  },
);
process.exitCode = status ?? 1;
