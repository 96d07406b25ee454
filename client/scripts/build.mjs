// Builds dist/: in dist/modules every source as a readable ES module with a source map, for bundlers, which leave out what is
// not imported; beside them every entry as one minified module, to be copied into an extension, and in dist/cjs as CommonJS.
// The minified entries import the main module from beside them, so that an extension has one bridge.
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { minify } from "terser";

process.chdir(new URL("..", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
const { version, license } = JSON.parse(readFileSync("package.json", "utf8"));

const entries = {
  longwire: "src/index.ts",
  io: "src/io/index.ts",
  fallback: "src/fallback/index.ts",
  node: "src/node/index.ts",
  onboarding: "src/onboarding/index.ts",
  react: "src/react/index.ts",
  relay: "src/relay/index.ts",
  testing: "src/testing/index.ts",
};
// Browsers load a content script as a classic script: to be copied it is one, and sets a global.
const CONTENT = { name: "content", source: "src/content/index.ts", globalName: "longwireContent" };
const common = {
  bundle: true,
  target: ["chrome116", "firefox121"],
  minify: true,
  legalComments: "none",
  external: ["react", "node:*"],
  banner: { js: `// longwire ${version}, ${license}` },
};
/**
 * Terser's options. Made anew each time, because Terser changes them. Those from `hoist_funs` on make what gzip makes of it
 * smaller, and not the code itself.
 */
const smallest = (module, sourceMap) => ({
  module,
  sourceMap,
  ecma: 2022,
  compress: {
    passes: 3,
    pure_getters: true,
    unsafe: true,
    unsafe_arrows: true,
    unsafe_methods: true,
    hoist_funs: true,
    inline: 1,
    lhs_constants: false,
    sequences: false,
    conditionals: false,
    if_return: false,
  },
  format: { comments: /^ longwire / },
});
const mainStaysBeside = {
  name: "the main module stays beside",
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: "./longwire.js", external: true }));
  },
};
const sources = readdirSync("src", { recursive: true })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `src/${name}`);
await build({
  entryPoints: sources,
  outdir: "dist/modules",
  format: "esm",
  target: "es2022",
  sourcemap: true,
});
/** Builds one minified file and its source map. */
async function buildEntry(name, source, folder, options) {
  const outfile = `${folder}/${name}.js`;
  const sourcemap = "external";
  await build({
    ...common,
    ...options,
    entryPoints: [source],
    outfile,
    sourcemap,
    plugins: [mainStaysBeside],
  });
  // Three percent smaller than what esbuild alone makes.
  const content = readFileSync(`${outfile}.map`, "utf8");
  const sourceMap = { content, filename: `${name}.js`, url: `${name}.js.map` };
  // The global of a classic script must keep its name.
  const module = options.format !== "iife";
  const { code, map } = await minify(readFileSync(outfile, "utf8"), smallest(module, sourceMap));
  writeFileSync(outfile, code);
  writeFileSync(`${outfile}.map`, map);
}

for (const [name, source] of Object.entries(entries)) {
  await buildEntry(name, source, "dist", { format: "esm" });
  await buildEntry(name, source, "dist/cjs", { format: "cjs" });
}
// The offscreen document is a page with this script, which starts itself again as a worker.
await buildEntry("longwire-offscreen", "src/fallback/offscreen.ts", "dist", { format: "esm" });
const html = `<!doctype html>
<meta charset="utf-8">
<title>Longwire</title>
<script type="module" src="longwire-offscreen.js"></script>
`;
writeFileSync("dist/longwire-offscreen.html", html);
const { name: contentName, source: contentSource, globalName } = CONTENT;
await buildEntry(contentName, contentSource, "dist", { format: "iife", globalName });
await buildEntry(contentName, contentSource, "dist/cjs", { format: "cjs" });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit",
});
// TypeScript takes the module kind of a declaration from the nearest package.json.
cpSync("dist", "dist-types", { recursive: true, filter: (path) => !/cjs|modules|\.js(\.map)?$/.test(path) });
cpSync("dist-types", "dist/cjs", { recursive: true });
rmSync("dist-types", { recursive: true });
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
