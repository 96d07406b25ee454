// The examples carry copies of the built modules they use, and of what `examples/shared` has, so that they load as they
// lie. Without arguments: checks that every copy is current. With --write: brings the copies up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const examples = new URL("../../examples/", import.meta.url);
const shared = new URL("shared/", examples);
const sources = new Map(
  ["longwire.js", "onboarding.js"].map((name) => [name, new URL(`../dist/${name}`, import.meta.url)]),
);
for (const name of readdirSync(shared)) sources.set(name, new URL(name, shared));

// Examples for Node.js have `longwire/node` as CommonJS.
const nodeSources = new Map([
  ["longwire.js", new URL("../dist/cjs/longwire.js", import.meta.url)],
  ["longwire-node.js", new URL("../dist/cjs/node.js", import.meta.url)],
]);

for (const example of readdirSync(examples).sort()) {
  const folder = new URL(`${example}/`, examples);
  const forNode = existsSync(new URL("longwire-node.js", folder));
  if (!forNode && !existsSync(new URL("manifest.json", folder))) continue;
  for (const [name, source] of forNode ? new Map([...sources, ...nodeSources]) : sources) {
    const copy = new URL(name, folder);
    if (name !== "longwire.js" && !existsSync(copy)) continue;
    const bytes = contents(name, source);
    if (process.argv.includes("--write")) {
      writeFileSync(copy, bytes);
    } else if (!existsSync(copy) || !readFileSync(copy).equals(bytes)) {
      console.error(
        `examples/${example}/${name} is not current; run: npm run build && npm run example -- --write`,
      );
      process.exitCode = 1;
    }
  }
}

/** What the copy holds: scripts without the line that names the source map, which is not copied. */
function contents(name, source) {
  const bytes = readFileSync(source);
  if (!name.endsWith(".js")) return bytes;
  return Buffer.from(bytes.toString().replace(/\n\/\/# sourceMappingURL=.*/, "\n"));
}
