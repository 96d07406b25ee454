// The examples carry a copy of the built module, so that they load as they lie. Without arguments: checks that every
// copy is current. With --write: copies.
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";

const built = new URL("../dist/longwire.js", import.meta.url);
const examples = new URL("../../examples/", import.meta.url);
for (const name of readdirSync(examples).sort()) {
  const copy = new URL(`${name}/longwire.js`, examples);
  if (process.argv.includes("--write") && existsSync(new URL(`${name}/manifest.json`, examples))) {
    copyFileSync(built, copy);
  } else if (existsSync(copy) && !readFileSync(copy).equals(readFileSync(built))) {
    console.error(
      `examples/${name}/longwire.js is not the built module; run: npm run build && npm run example -- --write`,
    );
    process.exitCode = 1;
  }
}
