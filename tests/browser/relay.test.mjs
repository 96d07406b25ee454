// Content scripts in a real Chromium: two pages of a web server use a session of the worker through `relay`, and go on when
// the worker is stopped. The files are those that an extension copies.

import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;

const WORKER = (url) => `import { connect } from "./longwire.js";
import { relay } from "./relay.js";
const bridge = connect();
bridge.on("error", (error) => console.error(error.message));
relay(bridge, { sessions: ["pages"], allow: ({ url }) => !url.includes("refused") });
bridge.open("pages", ${JSON.stringify(url)}).then((session) => session.on("message", () => {}));`;

// The page's own scripts see the document only, so that is where the content script shows what it has.
const CONTENT = `(async () => {
  const show = (name, value) => document.documentElement.setAttribute("data-" + name, value);
  const bridge = longwireContent.connect();
  const seen = [];
  try {
    const session = await bridge.open("pages");
    session.on("message", (message) => {
      const { type, number } = JSON.parse(message.text);
      if (type === "tick") seen.push(number);
      show("seen", JSON.stringify(seen));
    });
    show("sent", (await session.send("from " + location.pathname)).outcome);
  } catch (error) {
    show("error", error.code);
  }
})();`;

async function extensionOf(world) {
  const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
  const extension = join(world.folder, "extension");
  const manifest = {
    manifest_version: 3,
    name: "Relay",
    version: "1",
    key, // so that the id is known
    permissions: ["nativeMessaging", "storage", "alarms"],
    background: { service_worker: "worker.js", type: "module" },
    content_scripts: [{ matches: ["http://127.0.0.1/*"], js: ["content.js", "page.js"] }],
  };
  await mkdir(extension);
  for (const name of ["longwire.js", "relay.js", "content.js"]) {
    await copyFile(join(root, "client/dist", name), join(extension, name));
  }
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(extension, "page.html"), "<!doctype html>");
  await writeFile(join(extension, "worker.js"), WORKER(world.server.url));
  await writeFile(join(extension, "page.js"), CONTENT);
  return extension;
}

async function webServer(t) {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

const data = (page) => page.evaluate(() => ({ ...document.documentElement.dataset }));
const seen = async (page) => JSON.parse((await data(page)).seen ?? "[]");

test("content scripts receive and send through the worker, and survive it", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const { id, server } = world;
  await world.longwire("install", "--extension", id, "--browser", "chromium");
  const extension = await extensionOf(world);
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  await eventually(TIMEOUT, "the worker's connection", () => server.clients === 1);
  const { devtools } = world.browser;
  const web = await webServer(t);

  const pages = [await devtools.open(`${web}/one`), await devtools.open(`${web}/two`)];
  for (const page of pages) {
    await eventually(TIMEOUT, "a page's message is sent", async () => (await data(page)).sent === "sent");
  }
  assert.deepEqual(server.received.toSorted(), ["from /one", "from /two"]);
  assert.equal(server.clients, 1, "one connection for all");
  const refused = await devtools.open(`${web}/refused`);
  await eventually(TIMEOUT, "a page is refused", async () => (await data(refused)).error === "relay-refused");

  server.push(300);
  for (const page of pages) {
    await eventually(TIMEOUT, "300 messages in a page", async () => (await seen(page)).length === 300);
  }
  const [first] = await Promise.all(pages.map(seen));

  world.page = await world.browser.open(id, "page.html");
  await world.browser.stopWorker(id, world.page);
  server.push(300);
  for (const page of pages) {
    await eventually(TIMEOUT, "600 messages in a page", async () => (await seen(page)).length >= 600);
  }
  for (const page of pages) {
    const all = await seen(page);
    assert.equal(new Set(all).size, 600, "none twice, none lost");
    assert.equal(all.length, 600);
    assert.deepEqual(all.slice(0, 300), first);
  }

  const { sessions } = JSON.parse(await world.longwire("status", "--json"));
  assert.equal(sessions.find(({ session }) => session === "pages").clients, 3);
  await pages[1].close();
  await eventually(TIMEOUT, "the closed page's client leaves", async () => {
    const { sessions: now } = JSON.parse(await world.longwire("status", "--json"));
    return now.find(({ session }) => session === "pages").clients === 2;
  });
});
