// Fails when a built module is too large.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

// `io.js`, `onboarding.js` and `react.js` come on top of the main module; `testing.js` never ships to users.
const LIMITS = {
  "longwire.js": 17 * 1024,
  "io.js": 5 * 1024,
  "onboarding.js": 8 * 1024,
  "react.js": 3 * 1024,
  "testing.js": 6 * 1024,
};
for (const [name, limit] of Object.entries(LIMITS)) {
  const built = readFileSync(new URL(`../dist/${name}`, import.meta.url));
  const size = gzipSync(built, { level: 9 }).length;
  console.log(`${name}: ${built.length} bytes, ${size} gzipped, ${limit} allowed`);
  if (size > limit) process.exitCode = 1;
}
