// examples/react-hooks in a real Chromium and a real Firefox: built as its README says, with the server of examples/canvas, which
// is stopped and started again while the page is open.

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { Chromium } from "./lib/chromium.mjs";
import { eventually, soon } from "./lib/eventually.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { World } from "./lib/world.mjs";

const run = promisify(execFile);
const examples = resolve(import.meta.dirname, "../../examples");
const client = resolve(import.meta.dirname, "../../client");
const TIMEOUT = 60_000;
const noFirefox = spawnSync(process.env.FIREFOX ?? "firefox-esr", ["--version"]).status !== 0 && "there is no firefox-esr here";

async function startServer(t, port = "0") {
  const server = spawn(process.execPath, ["server.cjs", port], {
    cwd: join(examples, "canvas"),
    env: { ...process.env, NODE_PATH: join(import.meta.dirname, "node_modules") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => server.kill("SIGKILL"));
  const [line] = await soon(TIMEOUT, "the server's port", once(createInterface({ input: server.stdout }), "line"));
  return { server, port: line };
}

/** An environment with the built extension, its server on a free port, and the commands of the README. */
async function made(t) {
  const world = await World.make();
  t.after(() => world.end());
  const { server, port } = await startServer(t);
  const folder = join(world.folder, "react-hooks");
  await cp(join(examples, "react-hooks"), folder, { recursive: true });
  const panel = await readFile(join(folder, "panel.jsx"), "utf8");
  assert.ok(panel.includes("127.0.0.1:8789"), "the page names the default port");
  await writeFile(join(folder, "panel.jsx"), panel.replace("8789", port));
  const readme = await readFile(join(folder, "README.md"), "utf8");
  const [, command] = /npx (esbuild .*)$/m.exec(readme);
  const [, ...words] = command.replace("panel.jsx", join(folder, "panel.jsx")).replace("extension/", `${folder}/extension/`).split(" ");
  // The packages that the README installs beside the page are the SDK's own here.
  const env = { ...process.env, NODE_PATH: join(client, "node_modules") };
  const alias = `--alias:longwire/react=${client}/dist/modules/react/index.js`;
  await run(join(client, "node_modules/.bin/esbuild"), [...words, alias], { env });
  return { world, server, port, readme, extension: join(folder, "extension") };
}

/** From nothing to a finished task, and to another one after the server was started again. */
async function draws(t, page, { server, port }) {
  const shown = () => page.evaluate(() => document.body.textContent).catch(() => "");
  const shows = (text) => eventually(TIMEOUT, `"${text}" on the page`, async () => (await shown()).includes(text));
  const click = () => page.evaluate(() => document.querySelector("button").click());
  await shows("connected");
  await click();
  await shows("done: 250 characters");
  const gone = once(server, "exit");
  server.kill("SIGTERM");
  await gone;
  await eventually(TIMEOUT, "the loss on the page", async () => !(await shown()).includes("connected"));
  await startServer(t, port);
  await shows("connected");
  await click();
  await eventually(TIMEOUT, "the next task", () => page.evaluate(() => !document.querySelector("progress") && !document.querySelector("button").disabled));
  assert.match(await shown(), /done: 250 characters/);
}

test("the hooks in Chromium continue after a server restart", async (t) => {
  const it = await made(t);
  const { world, readme, extension } = it;
  const [, command] = /`longwire (install --extension [a-p]{32})`/.exec(readme);
  await world.longwire(...command.split(" "), "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  await draws(t, await world.browser.open(command.split(" ")[2], "panel.html"), it);
});

test("the hooks in Firefox continue after a server restart", { skip: noFirefox }, async (t) => {
  const it = await made(t);
  const { world, readme, extension } = it;
  const [, command] = /`longwire (install --extension \S+@\S+ --browser firefox)`/.exec(readme);
  await world.longwire(...command.split(" "));
  const profile = join(world.folder, "firefox");
  const firefox = await Firefox.launch({ profile, extension, addon: command.split(" ")[2], env: world.env });
  t.after(() => firefox.close());
  await draws(t, await firefox.open("panel.html"), it);
});
