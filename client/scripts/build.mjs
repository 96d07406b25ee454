// Builds dist/: two ES modules and their types. `io.js` imports `longwire.js`, so that an extension has one bridge.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
const { version, license } = JSON.parse(readFileSync("package.json", "utf8"));
const common = {
  bundle: true,
  format: "esm",
  target: ["chrome116", "firefox121"],
  minify: true,
  legalComments: "none",
  banner: { js: `// longwire ${version}, ${license}` },
};
const beside = {
  name: "the main module stays beside",
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: "./longwire.js", external: true }));
  },
};
await build({ ...common, entryPoints: ["src/index.ts"], outfile: "dist/longwire.js" });
await build({ ...common, entryPoints: ["src/io/index.ts"], outfile: "dist/io.js", plugins: [beside] });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit",
});
