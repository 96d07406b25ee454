// Empty projects with the packed npm package installed by npm, as a user has them. They lie below this folder, so that Node.js
// finds the tools (vitest, React, ...) in its node_modules.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
export const root = resolve(import.meta.dirname, "../../..");
const tests = resolve(import.meta.dirname, "..");

/** The packed package. `scripts/docs-code` packs it once for all test files. */
async function packed() {
  if (process.env.LONGWIRE_PACKAGE) return process.env.LONGWIRE_PACKAGE;
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", tests], { cwd: join(root, "client") });
  return join(tests, JSON.parse(stdout)[0].filename);
}

export class Project {
  /** A new project; it is removed with the test. */
  static async make(t, settings = {}) {
    const project = new Project();
    project.folder = await mkdtemp(join(tests, ".project-"));
    t.after(() => rm(project.folder, { recursive: true, force: true, maxRetries: 5 }));
    await project.write("package.json", JSON.stringify({ name: "project", private: true, ...settings }));
    const words = ["install", "--offline", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", await packed()];
    await run("npm", words, { cwd: project.folder });
    return project;
  }

  write(name, text) {
    return writeFile(join(this.folder, name), text);
  }

  /** Imports a file of the project, or a package as the project sees it. */
  async import(name) {
    if (name.startsWith(".")) return import(pathToFileURL(join(this.folder, name)).href);
    const file = `import-${name.replaceAll("/", "-")}.mjs`;
    await this.write(file, `export * from ${JSON.stringify(name)};`);
    return this.import(`./${file}`);
  }

  /** Runs a tool of tests/docs/node_modules, or Node.js itself; returns what it prints, throws with that if it fails. */
  async run(tool, ...words) {
    const [program, ...first] = tool === "node" ? [process.execPath] : [process.execPath, join(tests, "node_modules", tool)];
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    delete env.NODE_TEST_CONTEXT;
    try {
      const { stdout, stderr } = await run(program, [...first, ...words], { cwd: this.folder, env });
      return stdout + stderr;
    } catch (error) {
      throw new Error(`${tool} ${words.join(" ")} failed:\n${error.stdout}\n${error.stderr}`);
    }
  }
}

/** The code blocks of a page, with the language and the line of each. */
export async function blocks(page) {
  const text = await readFile(join(root, page), "utf8");
  return [...text.matchAll(/^```(\w*)\n(.*?)^```/gms)].map(({ 1: language, 2: code, index }) => ({
    page,
    line: text.slice(0, index).split("\n").length,
    language,
    code,
    before: text.slice(0, index),
  }));
}

/** The first block of a language below a heading. */
export async function block(page, heading, language, nth = 0) {
  const all = await blocks(page);
  const below = all.filter((one) => one.language === language && one.before.includes(`\n${heading}\n`));
  if (!below[nth]) throw new Error(`${page} has no ${language} below ${heading}`);
  return below[nth].code;
}
