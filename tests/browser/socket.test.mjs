// Where a LongwireSocket lives and how it ends: in pages that leave, in workers that are stopped, over hosts that crash, in
// both modes. What a socket does as long as its context lives is compared with WebSocket in sdk.test.mjs.

import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;

/** A worker that creates a socket on request, and records its events. */
const WORKER = `
import { LongwireSocket } from "./longwire.js";
let socket;
const lines = [];
chrome.runtime.onMessage.addListener(({ type, url, options, text }, _sender, respond) => {
  if (type === "open") {
    socket = new LongwireSocket(url, [], options);
    for (const name of ["open", "message", "close", "reconnecting", "resumed"]) {
      socket.addEventListener(name, ({ data }) => lines.push(data ? name + " " + data : name));
    }
  } else if (type === "send") socket.send(text);
  respond(lines);
});
`;

/** A browser with an extension made of that worker and an empty page. */
async function started(t) {
  const world = await World.make();
  t.after(() => world.end());
  const extension = join(world.folder, "extension");
  await mkdir(extension);
  // Without the parts that name files of the example, which are not in this folder.
  const { action, icons, options_ui, ...manifest } = JSON.parse(
    await readFile(join(World.EXTENSION, "manifest.json"), "utf8"),
  );
  await writeFile(join(extension, "manifest.json"), JSON.stringify(manifest));
  await copyFile(join(root, "examples/hello/longwire.js"), join(extension, "longwire.js"));
  await writeFile(join(extension, "worker.js"), WORKER);
  await writeFile(join(extension, "dedicated.js"), DEDICATED);
  for (const page of ["page.html", "other.html"]) await writeFile(join(extension, page), "<!doctype html>");
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  world.page = await world.browser.open(world.id, "page.html");
  world.request = (message) => world.page.evaluate((one) => chrome.runtime.sendMessage(one), message);
  world.sees = (line) =>
    eventually(TIMEOUT, `the worker sees: ${line}`, async () => (await world.request({ type: "look" })).some((seen) => seen.startsWith(line)));
  return world;
}

const DEDICATED = `
import { LongwireSocket } from "./longwire.js";
console.error = (...texts) => postMessage(texts.map(String).join(" "));
new LongwireSocket("ws://127.0.0.1:1024/");
`;

test("navigating away closes the sockets of the page with 1001, and no others", async (t) => {
  const world = await started(t);
  const { server, page } = world;
  const other = await world.browser.open(world.id, "other.html");
  for (const each of [page, other]) {
    await each.evaluate(async (url) => {
      const { LongwireSocket } = await import("./longwire.js");
      globalThis.socket = new LongwireSocket(url);
      await new Promise((open) => socket.addEventListener("open", open));
    }, server.url);
  }
  assert.equal(server.clients, 2);
  await page.evaluate(() => {
    location.href = "other.html";
  });
  await eventually(TIMEOUT, "one connection closed", () => server.closes.length === 1);
  assert.deepEqual(server.closes, [1001]);
  const received = await other.evaluate(async () => {
    const message = new Promise((received) => socket.addEventListener("message", ({ data }) => received(data)));
    socket.send("still here");
    return message;
  });
  assert.match(received, /still here/);
});

test("standard: the next worker's socket is the only one; without a next worker it closes", async (t) => {
  const world = await started(t);
  const { server, browser, page } = world;
  await world.request({ type: "open", url: server.url });
  await world.sees("open");
  await browser.stopWorker(world.id, page);
  await world.request({ type: "open", url: server.url });
  await world.sees("open");
  await eventually(TIMEOUT, "the first connection closed", () => server.closes.length === 1);
  assert.deepEqual([server.connections, server.clients, server.closes], [2, 1, [1001]]);
  await browser.stopWorker(world.id, page);
  await eventually(TIMEOUT, "the second connection closed", () => server.clients === 0);
  assert.deepEqual(server.closes, [1001, 1001]);
});

test("standard: a host that crashes is replaced under the same connection", async (t) => {
  const world = await started(t);
  const { server } = world;
  await world.request({ type: "open", url: server.url });
  await world.sees("open");
  for (const [pid] of await world.hosts()) process.kill(pid, "SIGKILL");
  server.push(3);
  await world.sees('message {"type":"tick","number":3}');
  await world.request({ type: "send", text: "and back" });
  await eventually(TIMEOUT, "a message at the server", () => server.received.includes("and back"));
  assert.equal(server.connections, 1);
});

test("persistent: the connection survives workers, and a drop is reported and repaired", async (t) => {
  const world = await started(t);
  const { server, browser, page } = world;
  const open = { type: "open", url: server.url, options: { session: "lasting" } };
  await world.request(open);
  await world.sees("open");
  server.push(1);
  await world.sees('message {"type":"tick","number":1}');
  await browser.stopWorker(world.id, page);
  server.push(1);
  await world.request(open);
  await world.sees('message {"type":"tick","number":2}');
  assert.equal(server.connections, 1);
  await server.stop();
  await world.sees("reconnecting");
  await world.request({ type: "send", text: "meanwhile" });
  await server.restart();
  await world.sees("resumed");
  await eventually(TIMEOUT, "what was sent meanwhile", () => server.received.includes("meanwhile"));
});

test("in a dedicated worker the error names where sockets can be created, and no permission", async (t) => {
  const world = await started(t);
  const texts = await world.page.evaluate(
    () =>
      new Promise((resolve) => {
        new Worker("dedicated.js", { type: "module" }).onmessage = ({ data }) => resolve(data);
      }),
  );
  assert.match(texts, /dedicated worker/);
  assert.doesNotMatch(texts, /permissions/);
});
