// The SDK in Firefox: the example as an add-on with an event page, and LongwireSocket against Firefox's own WebSocket.
// Skipped where there is no Firefox.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { conformance } from "./lib/conformance.mjs";
import { eventually } from "./lib/eventually.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { OddServer } from "./lib/odd-server.mjs";
import { skipUnless } from "./lib/skip.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const ADDON = "hello@longwire.example";
/** Where Firefox itself is not as the standard has it, what the standard has. */
const STANDARD = { "subprotocols offered and none chosen": ["error 3 Event", "close 3 1006 false"] };
const isThere = spawnSync(process.env.FIREFOX ?? "firefox-esr", ["--version"]).status === 0;
const skip = skipUnless(isThere, "there is no firefox-esr here");

async function installed(t) {
  const world = await World.make();
  t.after(() => world.end());
  await world.longwire("install", "--extension", ADDON, "--browser", "firefox");
  world.firefox = (extension = World.EXTENSION) =>
    Firefox.launch({ profile: join(world.folder, "firefox"), extension, addon: ADDON, env: world.env });
  return world;
}

/** A copy of the example whose pages may use `ws:`. By default Firefox turns it into `wss:` for its own WebSocket. */
async function withPlainSockets(world) {
  const extension = join(world.folder, "extension");
  await cp(World.EXTENSION, extension, { recursive: true });
  const path = join(extension, "manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8"));
  manifest.content_security_policy = { extension_pages: "script-src 'self'" };
  await writeFile(path, JSON.stringify(manifest));
  return extension;
}

test("in Firefox the socket survives its event page, its host and the browser", { skip }, async (t) => {
  const world = await installed(t);
  const { server } = world;
  const firefox = await world.firefox();
  t.after(() => firefox.close());
  const page = await firefox.open("popup.html");
  await page.evaluate((url) => chrome.storage.local.set({ url }), server.url);
  await eventually(TIMEOUT, "a connection at the server", () => server.clients === 1);
  const numbers = async () => {
    const { messages } = await page.evaluate(() => chrome.storage.local.get({ messages: [] }));
    return messages.flatMap(({ text }) => (text.includes('"tick"') ? [JSON.parse(text).number] : []));
  };
  const upTo = (last) => Array.from({ length: last }, (_, at) => at + 1);
  const arrived = async (last) => {
    await eventually(TIMEOUT, `message ${last}`, async () => (await numbers()).includes(last));
    assert.deepEqual(await numbers(), upTo(last));
  };
  await arrived(server.push(10));
  const { outcome } = await page.evaluate(() => chrome.runtime.sendMessage({ type: "send", text: "from Firefox" }));
  assert.equal(outcome, "sent");
  assert.deepEqual(server.received, ["from Firefox"]);

  await firefox.stopEventPage(ADDON);
  await eventually(TIMEOUT, "the host gone with its page", async () => !(await hosts(world)).length);
  const last = server.push(10);
  assert.equal((await numbers()).length, last - 10, "nobody is there to store them");
  const again = await page.evaluate(() => chrome.runtime.sendMessage({ type: "send", text: "awake" }));
  assert.equal(again.outcome, "sent");
  await arrived(last);

  const before = await hosts(world);
  for (const pid of before) process.kill(pid, "SIGKILL");
  await arrived(server.push(10));
  assert.notDeepEqual(await hosts(world), before);
  assert.equal(server.connections, 1, "one connection all along");

  // A temporary add-on and its storage end with the browser; the session and its position in the broker do not.
  await firefox.close();
  await eventually(TIMEOUT, "no host", async () => !(await hosts(world)).length);
  assert.equal(server.clients, 1, "the connection outlives the browser");
});

test("LongwireSocket behaves like Firefox's WebSocket", { skip }, async (t) => {
  const world = await installed(t);
  const odd = await OddServer.start();
  t.after(() => odd.stop());
  const firefox = await world.firefox(await withPlainSockets(world));
  t.after(() => firefox.close());
  const page = await firefox.open("popup.html");
  const run = (name) => page.evaluateFor(300_000, conformance, name, odd.base, process.env.ONLY);
  const native = await run("native");
  const ours = await run("longwire");
  for (const [name, expected] of Object.entries(native)) {
    await t.test(name, () => assert.deepEqual(ours[name], STANDARD[name] ?? expected));
  }
});

async function hosts(world) {
  return (await world.processes()).filter(([, command]) => command.includes(ADDON)).map(([pid]) => pid);
}
