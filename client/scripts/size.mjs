// Fails when a built module, or what a bundler makes of an import, is too large.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

process.chdir(new URL("..", import.meta.url).pathname);

// `io.js`, `fallback.js`, `onboarding.js`, `react.js` and `relay.js` come on top of the main module; `content.js` and
// `longwire-offscreen.js` come with nothing else into their pages; `testing.js` never ships to users.
const MODULES = {
  "longwire.js": 16.5 * 1024,
  "io.js": 5 * 1024,
  "fallback.js": 26.5 * 1024,
  "longwire-offscreen.js": 24.25 * 1024,
  "node.js": 2 * 1024,
  "onboarding.js": 6 * 1024,
  "react.js": 2 * 1024,
  "relay.js": 2.5 * 1024,
  "content.js": 4.75 * 1024,
  "testing.js": 5.25 * 1024,
};
// What an extension pays that imports only this, minified by its bundler.
const IMPORTS = {
  "{ LongwireError } from longwire": 1024,
  "{ connect } from longwire": 13 * 1024,
  "{ LongwireSocket } from longwire": 16.75 * 1024,
  "{ LongwireSocket } from longwire/socket": 16.75 * 1024,
  "{ io } from longwire/io": 17.25 * 1024,
  "{ connect } from longwire/content": 4.5 * 1024,
};

function judge(name, code, limit) {
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${name}: ${code.length} bytes, ${size} gzipped, ${limit} allowed`);
  if (size > limit) process.exitCode = 1;
}

for (const [name, limit] of Object.entries(MODULES)) {
  // The last line names the source map.
  const code = readFileSync(`dist/${name}`, "utf8").replace(/\n\/\/# sourceMappingURL=.*/, "");
  judge(name, code, limit);
}
const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
for (const [statement, limit] of Object.entries(IMPORTS)) {
  const [, names, entry] = statement.match(/^(.*) from longwire(.*)$/);
  const contents = `export ${names} from "${exports[`.${entry}`].import.default}";`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: "." },
    bundle: true,
    minify: true,
    format: "esm",
    target: ["chrome116", "firefox121"],
    write: false,
  });
  judge(`import ${statement}`, outputFiles[0].text, limit);
}
