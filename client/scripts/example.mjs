// The examples carry copies of the built modules they use, so that they load as they lie. Without arguments: checks that
// every copy is current. With --write: copies.
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";

const examples = new URL("../../examples/", import.meta.url);
for (const name of readdirSync(examples).sort()) {
  for (const module of ["longwire.js", "onboarding.js"]) {
    const built = new URL(`../dist/${module}`, import.meta.url);
    const copy = new URL(`${name}/${module}`, examples);
    if (!existsSync(copy)) continue;
    if (process.argv.includes("--write")) {
      copyFileSync(built, copy);
    } else if (!readFileSync(copy).equals(readFileSync(built))) {
      console.error(
        `examples/${name}/${module} is not the built module; run: npm run build && npm run example -- --write`,
      );
      process.exitCode = 1;
    }
  }
}
