// The code in README.md works when it is pasted: an extension made of nothing else, in a real Chromium.

import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;

test("the extension of the README connects, sends and receives", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const readme = await readFile(join(root, "README.md"), "utf8");
  const [, code] = readme.match(/```js\n(.*?)```/s);
  const [, permissions] = readme.match(/`"permissions": (\[.*?\])`/);
  const [, background] = readme.match(/`"background": (\{.*?\})`/);
  const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
  const manifest = {
    manifest_version: 3,
    name: "From the README",
    version: "1",
    key, // so that the id is known
    permissions: JSON.parse(permissions),
    background: JSON.parse(background),
  };
  const extension = join(world.folder, "extension");
  await mkdir(extension);
  await copyFile(join(root, "examples/hello/longwire.js"), join(extension, "longwire.js"));
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(extension, "blank.html"), "<!doctype html>");
  await writeFile(join(extension, "worker.js"), code.replace("wss://example.org/progress", world.server.url));

  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  world.page = await world.browser.open(world.id, "blank.html");
  const latest = () => world.page.evaluate(() => chrome.storage.local.get("latest").then(({ latest }) => latest));

  try {
    await eventually(TIMEOUT, "the message that the code sends", () => world.server.received.length > 0);
    assert.deepEqual(JSON.parse(world.server.received[0]), { type: "start", job: 7 });
    world.server.push(3);
    await eventually(TIMEOUT, "the last message stored", async () => (await latest())?.number === 3);
  } catch (error) {
    t.diagnostic(await world.report());
    throw error;
  }
});
