// The SDK through many lives: workers stopped under load, an extension reloaded, a browser restarted, two profiles at
// once, two clients on one session, messages larger than the pipe takes. Asserted is what a user would miss.

import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "./lib/eventually.mjs";
import { Chromium } from "./lib/chromium.mjs";
import { OddServer } from "./lib/odd-server.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
/** Messages that may wait while the worker is stopped. */
const AHEAD = 100;

/** An environment with the extension installed and connected to the numbering server. */
async function connected(t) {
  const world = await World.make();
  t.after(() => world.end());
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  await world.launch();
  await collect(world.page);
  await world.page.evaluate((url) => chrome.storage.local.set({ url }), world.server.url);
  await eventually(TIMEOUT, "a connection at the server", () => world.server.clients === 1);
  return world;
}

/** The page notes the numbers of all messages that the worker stores, also of those that fall out of its list of fifty. */
function collect(page) {
  return page.evaluate(() => {
    globalThis.ticks = [];
    chrome.storage.onChanged.addListener(({ messages }) => {
      const { text } = messages?.newValue.at(-1) ?? {};
      if (text?.startsWith("{")) globalThis.ticks.push(JSON.parse(text).number);
    });
  });
}

const ticks = (page) => page.evaluate(() => globalThis.ticks.filter((number) => number !== undefined));
const upTo = (last) => Array.from({ length: last }, (_, at) => at + 1);

test("twenty stops under load: no message lost or delivered twice, all in order", async (t) => {
  const world = await connected(t);
  const { page, server } = world;
  let last = 0;
  let stored = 0;
  // As much as this machine can store, and no more: what it cannot would pile up from stop to stop.
  const load = setInterval(() => {
    if (last - stored < AHEAD) last = server.push(2);
  }, 10);
  t.after(() => clearInterval(load));
  const look = async () => {
    stored = await page.evaluate(() => globalThis.ticks.length);
    return stored;
  };
  for (let stop = 1; stop <= 20; stop += 1) {
    const before = await look();
    await eventually(TIMEOUT, `messages before stop ${stop}`, async () => (await look()) > before + 5);
    await world.browser.stopWorker(world.id, page);
    // A message wakes the worker, as a click on the popup does.
    const { outcome } = await page.evaluateFor(
      TIMEOUT,
      (text) => chrome.runtime.sendMessage({ type: "send", text }),
      `after stop ${stop}`,
    );
    assert.equal(outcome, "sent");
  }
  clearInterval(load);
  await eventually(TIMEOUT, `message ${last}`, async () => (await ticks(page)).at(-1) === last);
  assert.deepEqual(await ticks(page), upTo(last));
  assert.deepEqual(server.received, upTo(20).map((stop) => `after stop ${stop}`));
  assert.equal(server.connections, 1, "one connection all along");
});

test("the extension is reloaded, and the browser restarted: nothing lost", async (t) => {
  const world = await connected(t);
  const { server } = world;
  server.push(10);
  await eventually(TIMEOUT, "ten messages", async () => (await ticks(world.page)).length === 10);
  const again = async (what) => {
    world.page = await world.browser.open(world.id, "popup.html");
    const last = server.push(1);
    const stored = () => world.page.evaluate(() => chrome.storage.local.get({ messages: [] }));
    await eventually(TIMEOUT, `message ${last} after ${what}`, async () => {
      const { messages } = await stored();
      return messages.some(({ text }) => text.includes(`"number":${last}}`));
    });
    const { messages } = await stored();
    const numbers = messages.flatMap(({ text }) => (text.includes('"tick"') ? [JSON.parse(text).number] : []));
    assert.deepEqual(numbers, upTo(last).slice(-numbers.length), what);
    assert.ok(numbers.length >= 20, `${numbers.length} after ${what}`);
  };

  // The extension may be back with another host at once.
  const [[host]] = await world.hosts();
  await world.page.evaluate(() => void setTimeout(() => chrome.runtime.reload(), 50));
  const isHost = ([pid]) => pid === host;
  await eventually(TIMEOUT, "the host gone with the extension", async () => !(await world.hosts()).some(isHost));
  server.push(10);
  await again("a reload");

  await world.browser.close();
  server.push(10);
  world.browser = await Chromium.launch({ profile: world.profile, extension: World.EXTENSION, env: world.env });
  await again("a restart of the browser");
  assert.equal(server.connections, 1, "one connection all along");
});

test("two profiles of one user have separate sessions", async (t) => {
  const world = await connected(t);
  const other = join(world.folder, "other-profile");
  await cp(join(world.profile, "NativeMessagingHosts"), join(other, "NativeMessagingHosts"), { recursive: true });
  const browser = await Chromium.launch({ profile: other, extension: World.EXTENSION, env: world.env });
  t.after(() => browser.close());
  const page = await browser.open(world.id, "popup.html");
  await collect(page);
  await page.evaluate((url) => chrome.storage.local.set({ url }), world.server.url);
  await eventually(TIMEOUT, "two connections", () => world.server.clients === 2);
  world.server.push(20);
  for (const each of [world.page, page]) {
    await eventually(TIMEOUT, "twenty messages", async () => (await ticks(each)).length === 20);
    assert.deepEqual(await ticks(each), upTo(20));
  }
  const brokers = (await world.processes()).filter(([, command]) => !command.includes("chrome-extension://"));
  assert.equal(brokers.length, 1, "one broker for both");
});

test("a page and the worker share a session, each at its own pace", async (t) => {
  const world = await connected(t);
  const { page, server } = world;
  await page.evaluate(async () => {
    const { connect } = await import("./longwire.js");
    const session = await connect({ client: "page" }).open("hello");
    globalThis.mine = [];
    session.on("message", ({ text }) => void globalThis.mine.push(JSON.parse(text).number));
    globalThis.session = session;
  });
  server.push(30);
  const mine = () => page.evaluate(() => globalThis.mine);
  await eventually(TIMEOUT, "thirty in the page", async () => (await mine()).length === 30);
  await eventually(TIMEOUT, "thirty in the worker", async () => (await ticks(page)).length === 30);
  await world.browser.stopWorker(world.id, page);
  server.push(10);
  await eventually(TIMEOUT, "forty in the page", async () => (await mine()).length === 40);
  assert.deepEqual(await mine(), upTo(40));
  const { outcome } = await page.evaluate(() => globalThis.session.send("from the page"));
  assert.equal(outcome, "sent");
  assert.deepEqual(server.received, ["from the page"]);
  await page.evaluate(() => chrome.runtime.sendMessage({ type: "state" }));
  await eventually(TIMEOUT, "forty in the worker", async () => (await ticks(page)).length === 40);
  assert.deepEqual(await ticks(page), upTo(40));
});

test("messages larger than the pipe accepts, in every form", async (t) => {
  const world = await connected(t);
  const odd = await OddServer.start();
  t.after(() => odd.stop());
  const result = await world.page.evaluateFor(TIMEOUT, async (url) => {
    const { connect } = await import("./longwire.js");
    const session = await connect({ client: "page" }).open("large", url, { format: "json" });
    const bytes = new Uint8Array(5 * 1024 * 1024).map((_, at) => (at * 7) % 253);
    const text = "é\u0001\"\\😀".repeat(300_000);
    const json = Array.from({ length: 100_000 }, (_, n) => ({ n, word: `number ${n}` }));
    const answers = [];
    const outcomes = Promise.all([session.send(bytes), session.send(text), session.send(json), session.send("end")]);
    for await (const { data } of session) {
      answers.push(data);
      if (answers.length === 4) break;
    }
    const sent = (await outcomes).map(({ outcome }) => outcome);
    const [one, two, three] = answers;
    const same = one.length === bytes.length && one.every((byte, at) => byte === bytes[at]);
    const result = { sent, same, text: two === text, json: JSON.stringify(three) === JSON.stringify(json) };
    await session.close();
    return result;
  }, `${odd.base}/echo`);
  assert.deepEqual(result, { sent: ["sent", "sent", "sent", "sent"], same: true, text: true, json: true });
});

test("each fault of the native host has its own error, with the fix", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  await world.launch();
  const failure = () =>
    world.page.evaluateFor(TIMEOUT, async () => {
      const { connect } = await import("./longwire.js");
      const error = await connect({ client: "page" }).open("x", "ws://127.0.0.1:9/").catch((error) => error);
      const { code, fix, doctor, detail } = error;
      return [code, fix ?? detail?.code, doctor];
    });
  const install = `longwire install --extension ${world.id}`;
  assert.deepEqual(await failure(), ["host-not-found", install, "longwire doctor"]);

  await world.longwire("install", "--extension", "a".repeat(32), "--browser", "chromium");
  assert.deepEqual(await failure(), ["host-forbidden", install, `longwire doctor --extension ${world.id}`]);

  const manifest = join(world.profile, "NativeMessagingHosts", "com.longwire.bridge.json");
  const content = JSON.parse(await readFile(manifest, "utf8"));
  content.allowed_origins = [`chrome-extension://${world.id}/`];
  // It reads the greeting first: browsers report another error for one that ends while it is written to.
  const host = join(world.folder, "ends-at-once");
  await writeFile(host, "#!/bin/sh\nhead -c 4 >/dev/null\n", { mode: 0o755 });
  await writeFile(manifest, JSON.stringify({ ...content, path: host }));
  assert.deepEqual(await failure(), ["host-keeps-dying", "host-exited", "longwire doctor"]);
});
