// docs/GUIDE.md followed word by word in real browsers: its files, its commands, in its order. Only the server's port is
// another one, since 8787 may be taken.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { freePort } from "./lib/free-port.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const guide = await readFile(join(root, "docs/GUIDE.md"), "utf8");
const TIMEOUT = 60_000;
/** The guide says 30 seconds; the rest is for a machine that is busy. */
const FOUND = 45_000;
const ADDON = "me@example.org";
const FIREFOX_SECTION = "The manifest needs an id, and an event page instead of a worker:";
const missing = spawnSync(process.env.FIREFOX ?? "firefox-esr", ["--version"]).status !== 0;

/** The first code block of a language after the text `words`, with any line breaks. */
function code(language, words) {
  const pattern = words.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+");
  const at = guide.search(new RegExp(pattern));
  assert.ok(at >= 0, `the guide says ${words}`);
  const rest = guide.slice(at);
  return new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(rest)[1];
}

/** The guide's folder with its three files. */
async function folder(world, { worker = (text) => text, manifest = (value) => value } = {}) {
  world.port = await freePort();
  const path = join(world.folder, "my extension");
  await mkdir(path);
  const parsed = manifest(JSON.parse(code("json", "`manifest.json`:")));
  await writeFile(join(path, "manifest.json"), JSON.stringify(parsed));
  await writeFile(join(path, "worker.js"), worker(code("js", "`worker.js`:")).replace("8787", world.port));
  await copyFile(join(root, "examples/hello/longwire.js"), join(path, "longwire.js"));
  return path;
}

/** The guide's server. */
async function serve(t, world) {
  const [, program] = /node -e '(.*?)'/s.exec(code("", "**4. Start a test server**"));
  const options = { cwd: import.meta.dirname, stdio: "ignore" };
  const child = spawn(process.execPath, ["-e", program.replace("8787", world.port)], options);
  t.after(() => child.kill("SIGKILL"));
}

/** The guide's command. */
function install(world, id, from = "**3. Register the native host") {
  const [, ...words] = code("", from).trim().split(" ");
  return world.longwire(...words.map((word) => (word === "<id>" ? id : word)));
}

/** The numbers of the ticks that a console shows. */
const ticks = (lines) => lines.flatMap((line) => /tick (\d+)/.exec(line)?.[1] ?? []).map(Number);

async function made(t) {
  const world = await World.make();
  t.after(() => world.end());
  await world.server.stop();
  return world;
}

async function chromium(world, extension) {
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  const { url } = await eventually(TIMEOUT, "the service worker", async () => {
    const targets = await world.browser.devtools.targets();
    return targets.find(({ type, url }) => type === "service_worker" && url.endsWith("/worker.js"));
  });
  return url.split("/")[2];
}

test("the guide's quick start in Chromium: the host is found without a reload, and ticks continue in the next worker", async (t) => {
  const world = await made(t);
  const extension = await folder(world);
  await writeFile(join(extension, "blank.html"), "<!doctype html>");
  const id = await chromium(world, extension);
  const console = await world.browser.console(id);
  await eventually(TIMEOUT, "the missing host on the console", () => console.lines.length > 0);

  await install(world, id);
  await serve(t, world);
  try {
    await eventually(FOUND, "ticks", () => ticks(console.lines).length >= 2);
    await eventually(TIMEOUT, "the outcome", () => console.lines.includes("log: my message: sent"));
  } catch (error) {
    t.diagnostic(`${console.lines.join("\n")}\n${await world.report()}`);
    throw error;
  }
  const failures = console.lines.filter((line) => !/^log/.test(line));
  assert.equal(failures.length, 1, failures.join("\n"));
  assert.match(failures[0], new RegExp(`^error: .*longwire install --extension ${id}.* Try: longwire doctor$`));

  const page = await world.browser.open(id, "blank.html");
  await console.close();
  await world.browser.stopWorker(id, page);
  const next = await world.browser.console(id);
  await eventually(TIMEOUT, "ticks in the next worker", () => ticks(next.lines).length >= 2);
  const all = [...ticks(console.lines), ...ticks(next.lines)];
  // One that was handled and not acknowledged when the worker was stopped comes again.
  const once = all.filter((number, at) => number !== all[at - 1]);
  assert.deepEqual(once, Array.from({ length: once.length }, (_, at) => at + 1));
});

test("the guide's quick start in Firefox", { skip: missing && "there is no firefox-esr here" }, async (t) => {
  const world = await made(t);
  const section = FIREFOX_SECTION;
  const extra = JSON.parse(`{${code("json", section)}}`);
  const extension = await folder(world, { manifest: (value) => ({ ...value, ...extra }) });
  const profile = join(world.folder, "firefox");
  const firefox = await Firefox.launch({ profile, extension, addon: ADDON, env: world.env });
  t.after(() => firefox.close());
  const ours = () => firefox.console().filter((line) => !line.includes("RSLoader"));
  await eventually(TIMEOUT, "the missing host on the console", () => ours().length > 0);

  const [, ...words] = /`(longwire install --extension me@\S+ .*?)`/.exec(guide)[1].split(" ");
  await world.longwire(...words);
  await serve(t, world);
  try {
    await eventually(FOUND, "ticks", () => ticks(ours()).length >= 2);
    await eventually(TIMEOUT, "the outcome", () => ours().some((line) => /my message:"? "?sent/.test(line)));
  } catch (error) {
    t.diagnostic(`${firefox.output}\n${await world.report()}`);
    throw error;
  }
  const failures = ours().filter((line) => !/^log/.test(line));
  assert.equal(failures.length, 1, failures.join("\n"));
  assert.match(failures[0], /longwire install --extension me@example.org/);
});

/** The guide's extension with options for its session, and the guide's popup, which keeps what it sees. */
async function folderWithPopup(world, manifest) {
  await world.server.restart();
  const options = '{ headers: { "x-team": "blue" }, format: "json" }';
  const worker = (text) =>
    text
      .replace("ws://127.0.0.1:8787", world.server.url)
      .replace(`"${world.server.url}"`, `"${world.server.url}", ${options}`)
      .replace("message.data)", "JSON.stringify(message.data))");
  const extension = await folder(world, { worker, manifest });
  await writeFile(join(extension, "popup.html"), '<!doctype html><script type="module" src="popup.js"></script>');
  const popup = [
    'import { connect } from "./longwire.js";',
    code("js", "## Popups and other pages"),
    "globalThis.seen = [];",
    'session.on("message", ({ data }) => seen.push(data));',
  ];
  await writeFile(join(extension, "popup.js"), popup.join("\n"));
  return extension;
}

/** The popup and the worker get the same messages over one connection, with the worker's options. */
async function attaches(world, page, workerLines) {
  await eventually(TIMEOUT, "the popup's session", () => page.evaluate(() => Array.isArray(globalThis.seen)));
  world.server.push(3);
  const seen = () => page.evaluate(() => globalThis.seen.flatMap(({ number }) => number ?? []));
  await eventually(TIMEOUT, "JSON in the popup", async () => (await seen()).length === 3);
  await eventually(TIMEOUT, "JSON in the worker", () => workerLines().some((line) => /number\W*:3/.test(line)));
  assert.deepEqual(await seen(), [1, 2, 3]);
  assert.equal(world.server.connections, 1, "one connection all along");
  assert.equal(world.server.headers["x-team"], "blue");
}

test("the guide's popup attaches to the worker's session and changes nothing of it", async (t) => {
  const world = await made(t);
  const extension = await folderWithPopup(world);
  const id = await chromium(world, extension);
  await install(world, id);
  await eventually(FOUND, "a connection", () => world.server.clients === 1);
  const console = await world.browser.console(id);
  await attaches(world, await world.browser.open(id, "popup.html"), () => console.lines);
});

test("the guide's popup in Firefox", { skip: missing && "there is no firefox-esr here" }, async (t) => {
  const world = await made(t);
  const extra = JSON.parse(`{${code("json", FIREFOX_SECTION)}}`);
  const extension = await folderWithPopup(world, (value) => ({ ...value, ...extra }));
  await world.longwire("install", "--extension", ADDON, "--browser", "firefox");
  const profile = join(world.folder, "firefox");
  const firefox = await Firefox.launch({ profile, extension, addon: ADDON, env: world.env });
  t.after(() => firefox.close());
  await eventually(FOUND, "a connection", () => world.server.clients === 1);
  await attaches(world, await firefox.open("popup.html"), () => firefox.console());
});
