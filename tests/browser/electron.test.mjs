// examples/electron-gateway with the example's own server and a real host and broker: the main process in plain Node.js, killed
// in the middle of what comes and started again; and the whole app over a stand-in for Electron's API (lib/electron.cjs),
// since the npm registry has no binary of Electron.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { Page } from "./lib/devtools.mjs";
import { eventually, soon } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const examples = resolve(import.meta.dirname, "../../examples");
const folder = join(examples, "electron-gateway");
const TIMEOUT = 60_000;

/** An environment in which the README's command was run, and the gateway on a free port. */
async function made(t) {
  const world = await World.make();
  t.after(() => world.end());
  const readme = await readFile(join(folder, "README.md"), "utf8");
  await world.longwire(.../`longwire (install --app [^`]*)`/.exec(readme)[1].split(" "));
  const server = spawn(process.execPath, ["server.cjs", "0"], {
    cwd: join(examples, "gateway"),
    env: { ...process.env, NODE_PATH: join(import.meta.dirname, "node_modules") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => server.kill("SIGKILL"));
  const [port] = await soon(TIMEOUT, "the gateway's port", once(createInterface({ input: server.stdout }), "line"));
  world.port = port;
  world.data = join(world.folder, "data");
  return world;
}

function start(t, world, words, env = {}) {
  const child = spawn(process.execPath, words, { cwd: folder, env: { ...world.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  child.stdout.resume();
  return child;
}

/** The numbers of the ticks in the app's log. */
async function ticks(world) {
  const text = await readFile(join(world.data, "log.jsonl"), "utf8").catch(() => "");
  return [...text.matchAll(/"tick (\d+)"/g)].map(([, number]) => Number(number));
}

const upTo = (count) => Array.from({ length: count }, (_, at) => at + 1);
const clients = async (world) => (await (await fetch(`http://127.0.0.1:${world.port}/api/stats`)).json()).clients;

test("the gateway in plain Node.js continues after it was killed: each tick once, over one connection", async (t) => {
  const world = await made(t);
  const words = ["terminal.js", world.data, `ws://127.0.0.1:${world.port}/ws`];
  const first = start(t, world, words);
  await eventually(TIMEOUT, "a connection", async () => (await clients(world)) === 1);
  first.stdin.write("go\ngo\ngo\n");
  await eventually(TIMEOUT, "ticks", async () => (await ticks(world)).length > 0);
  first.kill("SIGKILL");
  await once(first, "exit");
  assert.equal(await clients(world), 1, "the broker keeps the connection");

  const second = start(t, world, words);
  try {
    await eventually(TIMEOUT, "thirty ticks", async () => (await ticks(world)).length >= 30);
    second.stdin.write("go\n");
    await eventually(TIMEOUT, "ten more", async () => (await ticks(world)).includes(40));
  } catch (error) {
    t.diagnostic(`${await ticks(world)}\n${await world.report()}`);
    throw error;
  }
  assert.deepEqual(await ticks(world), upTo(40));
  second.stdin.end();
  await soon(TIMEOUT, "the program ends with its input", once(second, "exit"));
});

test("the app's window shows received messages, also after a reload or a restart", async (t) => {
  const world = await made(t);
  world.browser = await Chromium.launch({ profile: world.profile, extension: "", env: world.env });
  const { devtools } = world.browser;
  const env = {
    ELECTRON_CHROMIUM: devtools.address,
    ELECTRON_USER_DATA: world.data,
    GATEWAY_URL: `ws://127.0.0.1:${world.port}/ws`,
  };
  const launch = () => start(t, world, ["--require", resolve(import.meta.dirname, "lib/electron.cjs"), "main.js"], env);
  const window = async (seen) => {
    const found = await eventually(TIMEOUT, "a window", async () =>
      (await devtools.targets()).find(({ url, targetId }) => url.endsWith("/page.html") && targetId !== seen),
    );
    const { sessionId } = await devtools.send("Target.attachToTarget", { targetId: found.targetId, flatten: true });
    return new Page(devtools, found.targetId, sessionId);
  };
  const shown = (page) =>
    page.evaluate(() => ({
      state: document.getElementById("state")?.textContent,
      count: document.getElementById("progress-count")?.textContent,
      lines: [...document.querySelectorAll("li")].filter((line) => /^tick/.test(line.textContent)).length,
    }));
  const shows = (page, lines) =>
    eventually(TIMEOUT, `${lines} ticks in an open window`, async () => {
      const { state, lines: now } = await shown(page).catch(() => ({}));
      return state === "open" && now === lines;
    });

  const first = launch();
  const page = await window();
  await shows(page, 0);
  await page.evaluate(() => document.getElementById("go").click());
  await shows(page, 10);
  assert.equal((await shown(page)).count, "10 of 10");
  await page.send("Page.reload");
  await shows(page, 10);
  first.stdin.end();
  await soon(TIMEOUT, "the app quits", once(first, "exit"));
  assert.equal(await clients(world), 1, "the broker keeps the connection");

  launch();
  const next = await window(page.targetId);
  await shows(next, 10);
  await next.evaluate(() => document.getElementById("go").click());
  await shows(next, 20);
  assert.deepEqual(await ticks(world), upTo(20));
});
