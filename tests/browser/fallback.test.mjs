// A user without the host uses an extension, whose worker is killed meanwhile, installs the host, and continues: in Chromium with
// an offscreen document and without one, and in Firefox. What the server sent is counted against what the extension noted.

import assert from "node:assert/strict";
import { eventually } from "./lib/eventually.mjs";
import { inEachBrowser } from "./lib/fallback-browsers.mjs";

const TIMEOUT = 60_000;

const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** What the worker has noted. */
async function noted(page) {
  const { log } = await page.evaluate(() => chrome.storage.local.get("log"));
  return { numbers: [], gaps: [], states: [], modes: [], errors: [], ...log };
}

const ask = (page, message) => page.evaluate((request) => chrome.runtime.sendMessage(request), message);

async function arrived(page, last) {
  await eventually(TIMEOUT, `message ${last}`, async () => (await noted(page)).numbers.includes(last));
}

/** The user's way from the first message without the host to one through it. */
async function goesOn(t, { world, page, stopWorker, install, survives }) {
  const { server } = world;
  await page.evaluate((url) => chrome.storage.local.set({ url }), server.url);
  await eventually(TIMEOUT, "a connection of the browser's", () => server.clients === 1);
  const { mode, capabilities } = await ask(page, { state: true });
  assert.equal(mode, "browser");
  assert(capabilities.includes("websocket") && !capabilities.includes("disk"));
  assert.notEqual(server.headers["user-agent"], undefined, "a browser's handshake");
  await arrived(page, server.push(100));
  assert.equal((await ask(page, { text: "from the browser" })).outcome, "sent");
  await eventually(TIMEOUT, "it arrived", () => server.received.length === 1);

  // A page is a client of its own of the same connection.
  assert.equal(await page.evaluate(() => globalThis.attach()), "browser");
  await arrived(page, server.push(10));
  assert.deepEqual(await page.evaluate(() => globalThis.seen), upTo(110, 101));
  assert.equal(server.connections, 1);

  await stopWorker();
  const missed = server.push(50);
  // A message wakes the worker, as a click on the popup does.
  assert.equal((await ask(page, { text: "awake" })).outcome, "sent");
  const beforeHost = server.push(50);
  await arrived(page, beforeHost);
  const { numbers, gaps } = await noted(page);
  // What the worker noted and had not acknowledged when it was stopped is delivered once more.
  if (survives) assert.deepEqual([[...new Set(numbers)], gaps], [upTo(beforeHost), []]);
  else {
    assert.deepEqual(numbers, [...upTo(110), ...upTo(beforeHost, missed + 1)], "what came while nobody lived is missing");
    assert.deepEqual(gaps, ["reset"], "and reported");
  }

  await install();
  await eventually(TIMEOUT, "the host noticed", async () => (await ask(page, { state: true })).mode === "host");
  const last = server.push(20);
  await arrived(page, last);
  assert.equal((await world.longwire("status", "--json")).includes('"ticks"'), false, "the connection stays where it is");
  await server.stop();
  // What is written before the browser notices counts as sent.
  await eventually(TIMEOUT, "the loss noticed", async () => (await ask(page, { state: true })).state !== "open");
  const waits = ask(page, { text: "meanwhile" });
  await server.restart();
  await eventually(TIMEOUT, "a connection of the broker's", () => /longwire/.test(server.headers["user-agent"]) && server.clients === 1);
  assert.equal((await waits).outcome, "sent");
  await arrived(page, server.push(20));
  assert.equal((await world.longwire("status", "--json")).includes('"ticks"'), true);

  const after = await noted(page);
  assert.deepEqual(after.numbers, [...numbers, ...upTo(last + 20, beforeHost + 1)], "in order, each once");
  assert.deepEqual(after.gaps, [...gaps, "reset"], "the new connection of the server is reported");
  assert.deepEqual(server.received, ["from the browser", "awake", "meanwhile"]);
  assert.deepEqual(after.errors, []);
  // The page switches by itself, perhaps a moment later: then it receives a gap.
  await eventually(TIMEOUT, "the page went over as well", () => {
    server.push(1);
    return page.evaluate((number) => globalThis.seen.at(-1) > number, last + 20);
  });
  const [seen, pageGaps] = await page.evaluate(() => [globalThis.seen, globalThis.gaps]);
  assert.deepEqual(seen, [...new Set(seen)].sort((one, other) => one - other), "in order, each once");
  assert.equal(pageGaps.at(-1), "reset");
  t.diagnostic(`messages: ${last + 20} sent by the server, ${after.numbers.length} noted, gaps: ${after.gaps.length}`);
}

inEachBrowser("connections", { run: goesOn });
