// No two modules of the SDK import each other, directly or around corners, types included.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) =>
  /\.tsx?$/.test(name),
);

/** What a module imports or exports again, as paths below src. */
function importsOf(file: string): string[] {
  const text = readFileSync(join("src", file), "utf8");
  const found = [...text.matchAll(/\b(?:from|import)\s*\(?"(\.[^"]+)"/g)].map(([, path]) => path as string);
  return found.map((path) => {
    const source = normalize(join(dirname(file), path)).replace(/\.js$/, ".ts");
    return files.includes(source) ? source : `${source}x`;
  });
}

/** The first cycle that is found from a module on. */
function cycle(file: string, path: string[], done: Set<string>): string[] | undefined {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
  if (done.has(file)) return undefined;
  for (const next of importsOf(file)) {
    const found = cycle(next, [...path, file], done);
    if (found) return found;
  }
  done.add(file);
  return undefined;
}

test("modules have no circular imports", () => {
  assert(files.length > 30);
  const done = new Set<string>();
  for (const file of files) assert.equal(cycle(file, [], done)?.join(" -> "), undefined);
});
