// The examples carry copies of the built modules they use, and of what `examples/shared` has, so that they load as they
// lie. Without arguments: checks that every copy is current. With --write: brings the copies up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const examples = new URL("../../examples/", import.meta.url);
const shared = new URL("shared/", examples);
const sources = new Map(
  ["longwire.js", "onboarding.js"].map((name) => [name, new URL(`../dist/${name}`, import.meta.url)]),
);
for (const name of readdirSync(shared)) sources.set(name, new URL(name, shared));

for (const example of readdirSync(examples).sort()) {
  const folder = new URL(`${example}/`, examples);
  if (!existsSync(new URL("manifest.json", folder))) continue;
  for (const [name, source] of sources) {
    const copy = new URL(name, folder);
    if (name !== "longwire.js" && !existsSync(copy)) continue;
    // Without the line that names the source map, which is not copied.
    const text = readFileSync(source, "utf8").replace(/\n\/\/# sourceMappingURL=.*/, "\n");
    if (process.argv.includes("--write")) {
      writeFileSync(copy, text);
    } else if (!existsSync(copy) || readFileSync(copy, "utf8") !== text) {
      console.error(
        `examples/${example}/${name} is not current; run: npm run build && npm run example -- --write`,
      );
      process.exitCode = 1;
    }
  }
}
