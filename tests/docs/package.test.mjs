// The packed npm package, installed by npm into empty projects: every entry by `import` and by `require`, its types for both, a
// bundle, and docs/EXTENSION_TESTS.md with node:test, vitest and jest.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { block, Project, root } from "./lib/project.mjs";

const PAGE = "docs/EXTENSION_TESTS.md";
const { exports } = JSON.parse(await readFile(join(root, "client/package.json"), "utf8"));
/** `longwire`, `longwire/io`, ...: what a program imports. */
const entries = Object.entries(exports)
  .filter(([, target]) => typeof target === "object")
  .map(([path]) => path.replace(/^\./, "longwire"));
const nameOf = (entry) => entry.replace(/\W/g, "_");

test("every entry can be imported and required, and has types for both", async (t) => {
  const project = await Project.make(t);
  // The onboarding element and pages of an extension need a document: there is none here.
  const here = entries.filter((entry) => !/onboarding|offscreen/.test(entry));
  const listed = (load) => `${here.map(load).join("\n")}\nconsole.log(JSON.stringify([${here.map((entry) => `Object.keys(${nameOf(entry)}).length`)}]));`;
  await project.write("all.mjs", listed((entry) => `import * as ${nameOf(entry)} from "${entry}";`));
  await project.write("all.cjs", listed((entry) => `const ${nameOf(entry)} = require("${entry}");`));
  for (const file of ["all.mjs", "all.cjs"]) {
    const counts = JSON.parse(await project.run("node", file));
    assert.ok(counts.length > 6 && counts.every((count) => count > 0), `${file}: ${here} have ${counts} exports`);
  }

  await project.write("types.mts", entries.map((entry) => `export * as ${nameOf(entry)} from "${entry}";`).join("\n"));
  await project.write("types.cts", entries.map((entry) => `import ${nameOf(entry)} = require("${entry}");\nexport { ${nameOf(entry)} };`).join("\n"));
  const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", "node"];
  await project.run("typescript/bin/tsc", ...options, "--module", "nodenext", "types.mts");
  await project.run("typescript/bin/tsc", ...options, "--module", "nodenext", "types.cts");
});

test("a bundler leaves out what is not imported", async (t) => {
  const project = await Project.make(t, { type: "module" });
  await project.write("worker.js", 'import { LongwireError } from "longwire";\nglobalThis.is = LongwireError.is;');
  await project.run("esbuild/bin/esbuild", "worker.js", "--bundle", "--minify", "--format=esm", "--outfile=out.js");
  const bundle = await readFile(join(project.folder, "out.js"), "utf8");
  assert.ok(bundle.length < 2000, `${bundle.length} bytes`);
});

test("node:test runs the example of the page", async (t) => {
  const project = await Project.make(t);
  await project.write("worker.test.mjs", await block(PAGE, "## node:test", "js"));
  assert.match(await project.run("node", "--test", "--test-reporter=tap", "worker.test.mjs"), /^# pass 1$/m);
});

test("vitest runs the example of the page", async (t) => {
  const project = await Project.make(t, { type: "module" });
  await project.write("worker.js", await block(PAGE, "## vitest", "js"));
  await project.write("worker.test.js", await block(PAGE, "## vitest", "js", 1));
  const output = await project.run("vitest/vitest.mjs", "run", "--root", ".", "--no-color");
  assert.match(output.replace(/\x1b\[[\d;]*m/g, ""), /Tests +1 passed/);
});

test("jest runs the example of the page", async (t) => {
  const project = await Project.make(t);
  await mkdir(join(project.folder, "tests"));
  await project.write("tests/worker.test.js", await block(PAGE, "## jest", "js"));
  assert.match(await project.run("jest/bin/jest.js", "--rootDir", ".", "--no-cache"), /Tests: +1 passed/);
});
