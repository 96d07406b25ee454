// The recipes of docs/GUIDE.md, "Development tools", run with the tools in empty projects in which npm has installed the packed
// package: each builds or runs an extension whose worker sends hello to a server through the native host. Only what a
// machine without a screen needs is added.

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Chromium } from "../browser/lib/chromium.mjs";
import { eventually } from "../browser/lib/eventually.mjs";
import { Firefox } from "../browser/lib/firefox.mjs";
import { processesOf } from "../browser/lib/processes.mjs";
import { World } from "../browser/lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const guide = (await readFile(join(root, "docs/GUIDE.md"), "utf8")).split("## Development tools")[1];
const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
/** What the worker of the WXT recipe, which the others use as well, sends. */
const HELLO = "hello from WXT";
const TIMEOUT = 90_000;
const ADDON = "me@example.org";
const CHROMIUM = process.env.CHROMIUM ?? "chromium";
const FIREFOX = process.env.FIREFOX ?? "firefox-esr";
const HEADLESS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"];
const noFirefox = spawnSync(FIREFOX, ["--version"]).status !== 0 && "there is no firefox-esr here";

/** The code block that follows `words`, `nth` of them after it. */
function block(words, nth = 0) {
  assert.ok(guide.includes(words), `the guide says ${words}`);
  return [...guide.slice(guide.indexOf(words)).matchAll(/```\w*\n(.*?)```/gs)][nth][1];
}

const run = promisify(execFile);

/** An environment and a project folder with the packed package, from which Node.js finds the tools. What a tool leaves running ends with the test. */
async function project(t, settings = {}) {
  const world = await World.make();
  const folder = await mkdtemp(join(import.meta.dirname, ".project-"));
  t.after(async () => {
    world.stopTool?.();
    await eventually(TIMEOUT, "no process of the tool's", async () => {
      const left = await processesOf(world.home);
      for (const pid of left.keys()) end(pid);
      return left.size === 0;
    });
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await world.end();
  });
  assert.ok(process.env.LONGWIRE_PACKAGE, "scripts/recipes packs the package and names it in LONGWIRE_PACKAGE");
  const all = { name: "recipe", version: "1.0.0", type: "module", private: true, ...settings };
  await writeFile(join(folder, "package.json"), JSON.stringify(all));
  const words = ["install", "--offline", "--no-save", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  await run("npm", [...words, process.env.LONGWIRE_PACKAGE], { cwd: folder });
  return { world, folder };
}

function end(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** A plain extension, its server's address in it, with the package's file beside it or for a bundler. */
async function extension(folder, world, manifest, { bundled = false, project = folder } = {}) {
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "manifest.json"),
    JSON.stringify({ manifest_version: 3, name: "Recipe", version: "1", permissions: ["nativeMessaging", "storage", "alarms"], ...manifest }),
  );
  const code = block("`entrypoints/background.ts`").replace("export default defineBackground(() => {", "").replace(/}\);\n$/, "");
  const named = bundled ? code : code.replace('"longwire"', '"./longwire.js"');
  await writeFile(join(folder, "worker.js"), named.replace("ws://127.0.0.1:8787", world.server.url));
  if (!bundled) await cp(join(project, "node_modules/longwire/dist/longwire.js"), join(folder, "longwire.js"));
}

/** Runs the guide's `longwire install` line in `folder`. */
function install(world, line, folder) {
  const [, ...words] = line.trim().split(" ");
  const named = words.map((word) => (word === "<id>" ? world.id : word));
  const at = named.indexOf("--user-data-dir");
  if (at >= 0) named[at + 1] = join(folder, named[at + 1]);
  return world.longwire(...named);
}

/** Runs one of the tools until it ends. */
async function build(words, folder, env = process.env) {
  const [, tool, ...rest] = words;
  await run(resolve(import.meta.dirname, "node_modules/.bin", tool), rest, { cwd: folder, env, timeout: 2 * TIMEOUT });
}

/** Loads a built extension into Chromium, the host registered as in the guide's first part, and waits for its hello. */
async function inChromium(t, world, built, hello = HELLO) {
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension: built, env: world.env });
  await said(t, world, hello, () => "");
}

async function inFirefox(t, world, built, hello = HELLO) {
  if (noFirefox) return t.diagnostic(noFirefox);
  await world.longwire("install", "--extension", ADDON, "--browser", "firefox");
  const options = { profile: join(world.folder, "firefox"), extension: built, addon: ADDON, env: world.env };
  const firefox = await Firefox.launch(options);
  try {
    await said(t, world, hello, () => firefox.output);
  } finally {
    await firefox.close();
  }
}

/** Starts one of the tools; it ends with the test. */
function start(world, tool, words, folder, env = world.env) {
  const program = resolve(import.meta.dirname, "node_modules/.bin", tool);
  const child = spawn(program, words, { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  world.stopTool = () => end(-child.pid);
  return () => output;
}

async function said(t, world, text, output) {
  try {
    await eventually(TIMEOUT, `"${text}" at the server`, () => world.server.received.includes(text));
  } catch (error) {
    t.diagnostic(`${output()}\n${await world.report()}`);
    throw error;
  }
}

/** A Chromium for tools that start one themselves, on a machine without a screen. */
async function headless(world) {
  const path = join(world.folder, "headless-chromium");
  await writeFile(path, `#!/bin/sh\nexec ${CHROMIUM} ${HEADLESS.join(" ")} "$@"\n`, { mode: 0o755 });
  return path;
}

/** The files of the WXT recipe. */
async function wxt(world, folder, change = (config) => config) {
  await writeFile(join(folder, "wxt.config.ts"), change(block("`wxt.config.ts`").replace("<key>", key)));
  await mkdir(join(folder, "entrypoints"));
  const worker = block("`entrypoints/background.ts`").replace("ws://127.0.0.1:8787", world.server.url);
  await writeFile(join(folder, "entrypoints/background.ts"), worker);
}

/** What `npx wxt` needs on a machine without a screen. */
async function wxtWithoutScreen(world, folder) {
  const env = { ...world.env, CHROME_PATH: await headless(world) };
  await writeFile(join(folder, "web-ext.config.ts"), `export default { binaries: { chrome: ${JSON.stringify(env.CHROME_PATH)} } };`);
  return env;
}

test("WXT", async (t) => {
  const { world, folder } = await project(t);
  await wxt(world, folder);
  const [line, command] = block("`entrypoints/background.ts`", 1).trim().split("\n");
  await install(world, line, folder);
  const [, tool, ...words] = command.split(" ");
  const output = start(world, tool, words, folder, await wxtWithoutScreen(world, folder));
  await said(t, world, HELLO, output);
});

test("WXT with the module that registers the host", async (t) => {
  const { world, folder } = await project(t);
  await wxt(world, folder);
  await mkdir(join(folder, "modules"));
  await writeFile(join(folder, "modules/longwire.ts"), block("`modules/longwire.ts`"));
  const bin = join(world.folder, "bin");
  await mkdir(bin);
  await symlink(process.env.LONGWIRE ?? join(root, "target/debug/longwire"), join(bin, "longwire"));
  const env = await wxtWithoutScreen(world, folder);
  const output = start(world, "wxt", [], folder, { ...env, PATH: `${bin}:${env.PATH}` });
  await said(t, world, HELLO, output);
});

test("WXT for Firefox", async (t) => {
  const { world, folder } = await project(t);
  const [, settings] = /add `(browser_specific_settings: .*?)` to\s+`manifest`/.exec(guide);
  await wxt(world, folder, (config) => config.replace("manifest: {", `manifest: { ${settings},`));
  const [, command] = /`(npx wxt build -b firefox[^`]*)`/.exec(guide);
  await build(command.split(" "), folder, world.env);
  await inFirefox(t, world, join(folder, ".output/firefox-mv3"));
});

test("web-ext in Firefox", { skip: noFirefox }, async (t) => {
  const { world, folder } = await project(t);
  await extension(folder, world, { browser_specific_settings: { gecko: { id: ADDON } }, background: { scripts: ["worker.js"], type: "module" } });
  const [line, command] = block("### web-ext").trim().split("\n");
  await install(world, line, folder);
  const [, tool, ...words] = command.split(" ");
  const output = start(world, tool, [...words, "--firefox", FIREFOX, "--no-input"], folder, { ...world.env, MOZ_HEADLESS: "1" });
  await said(t, world, HELLO, output);
});

test("web-ext in Chromium", async (t) => {
  const { world, folder } = await project(t);
  await extension(folder, world, { key, background: { service_worker: "worker.js", type: "module" } });
  const [line, command] = block("### web-ext", 1).trim().split("\n");
  await install(world, line, folder);
  const [, tool, ...words] = command.split(" ");
  const binary = ["--chromium-binary", await headless(world), "--no-input"];
  const output = start(world, tool, [...words, ...binary], folder);
  await said(t, world, HELLO, output);
});

test("CRXJS and Vite", async (t) => {
  const { world, folder } = await project(t);
  await extension(folder, world, { key, background: { service_worker: "worker.js", type: "module" } }, { bundled: true });
  await writeFile(join(folder, "vite.config.js"), block("### CRXJS and Vite"));
  await build(["npx", "vite", "build"], folder, world.env);
  await inChromium(t, world, join(folder, "dist"));
});

test("Plasmo", async (t) => {
  const { manifest } = JSON.parse(`{${block("### Plasmo").replace("<key>", key)}}`);
  const { world, folder } = await project(t, { displayName: "Recipe", description: "A recipe", author: "me", type: undefined, manifest });
  await mkdir(join(folder, "assets"));
  await cp(join(root, "examples/shared/icon-128.png"), join(folder, "assets/icon.png"));
  await writeFile(join(folder, "background.ts"), block("### Plasmo", 1).replace("ws://127.0.0.1:8787", world.server.url));
  await writeFile(join(folder, "tsconfig.json"), block("### Plasmo", 2));
  const commands = block("### Plasmo", 3).trim().split("\n");
  for (const command of commands) await build(command.split(" "), folder, world.env);
  await inChromium(t, world, join(folder, "build/chrome-mv3-prod"), "hello from Plasmo");
  world.server.received.length = 0;
  await inFirefox(t, world, join(folder, "build/firefox-mv3-prod"), "hello from Plasmo");
});

test("esbuild", async (t) => {
  const { world, folder } = await project(t);
  const background = { service_worker: "dist/worker.js", scripts: ["dist/worker.js"], type: "module" };
  const manifest = { key, background, browser_specific_settings: { gecko: { id: ADDON } } };
  await extension(folder, world, manifest, { bundled: true });
  await build(block("### esbuild").trim().split(" "), folder);
  await inChromium(t, world, folder);
  world.server.received.length = 0;
  await inFirefox(t, world, folder);
});

test("Playwright", async (t) => {
  const { world, folder } = await project(t);
  await extension(join(folder, "extension"), world, { key, background: { service_worker: "worker.js", type: "module" } }, { project: folder });
  const [line] = /longwire install --extension <id> --user-data-dir test-profile/.exec(guide);
  await install(world, line, folder);
  const code = block("### Playwright")
    .replace('"playwright"', '"playwright-core"')
    .replace("const context", `const extension = "${folder}/extension";\nconst context`)
    .replace('channel: "chromium"', `headless: false, executablePath: "${await headless(world)}"`);
  await writeFile(join(folder, "test.mjs"), `${code}\nawait new Promise(() => setInterval(() => {}, 1e6));\nvoid context;`);
  const output = start(world, process.execPath, ["test.mjs"], folder);
  await said(t, world, HELLO, output);
});
