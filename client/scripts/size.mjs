// Fails when the built module is too large.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 12 * 1024;
const built = readFileSync(new URL("../dist/longwire.js", import.meta.url));
const size = gzipSync(built, { level: 9 }).length;
console.log(`longwire.js: ${built.length} bytes, ${size} gzipped, ${LIMIT} allowed`);
if (size > LIMIT) process.exitCode = 1;
