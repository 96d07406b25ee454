// Split incognito mode in a real Chromium: two workers over one storage, whose sessions have the same name and are two.

import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;

const WORKER = (url) => `import { connect } from "./longwire.js";
connect().open("same", ${JSON.stringify(url)}).then((session) => {
  session.on("message", () => {});
  return session.send(chrome.extension.inIncognitoContext ? "private" : "normal");
});
chrome.runtime.onMessage.addListener(() => {});`;

test("the two workers of split incognito mode have separate sessions and positions", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const { id, server } = world;
  const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
  const manifest = {
    manifest_version: 3,
    name: "Split",
    version: "1",
    key, // so that the id is known
    incognito: "split",
    permissions: ["nativeMessaging", "storage", "alarms"],
    background: { service_worker: "worker.js", type: "module" },
  };
  const extension = join(world.folder, "extension");
  await mkdir(extension);
  await copyFile(join(root, "examples/hello/longwire.js"), join(extension, "longwire.js"));
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(extension, "page.html"), "<!doctype html>");
  await writeFile(join(extension, "worker.js"), WORKER(server.url));
  await world.longwire("install", "--extension", id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  await eventually(TIMEOUT, "the normal worker's message", () => server.received.includes("normal"));

  const settings = await world.browser.devtools.open("chrome://extensions/");
  await settings.evaluate(
    (extensionId) => chrome.developerPrivate.updateExtensionConfiguration({ extensionId, incognitoAccess: true }),
    id,
  );
  // The permission reloads the extension.
  await eventually(TIMEOUT, "a private worker's message", async () => {
    if (server.received.includes("private")) return true;
    const page = await world.browser.open(id, "page.html");
    await page.evaluate((url) => chrome.windows.create({ incognito: true, url }), `chrome-extension://${id}/page.html`).catch(() => {});
    return eventually(TIMEOUT / 6, "the private worker", () => server.received.includes("private")).catch(() => false);
  });
  assert.equal(server.clients, 2, "a connection each");

  server.push(3);
  world.page = await world.browser.open(id, "page.html");
  const positions = () =>
    world.page.evaluate(async () => {
      const kept = Object.entries(await chrome.storage.session.get(null));
      return kept.filter(([name]) => name.startsWith("longwire:at:")).map(([name, { epoch }]) => [name, epoch]);
    });
  await eventually(TIMEOUT, "two positions", async () => (await positions()).length === 2);
  const [[one, epoch], [other, another]] = await positions();
  assert.notEqual(one, other);
  assert.notEqual(epoch, another);
  const { sessions } = JSON.parse(await world.longwire("status", "--json"));
  const profiles = sessions.filter(({ session }) => session === "same").map(({ profile }) => profile);
  assert.equal(new Set(profiles).size, 2);
  assert.ok(profiles.includes(`${profiles.find((profile) => !profile.endsWith(".private"))}.private`));
});
