// `io()` and a preset without the host, then with it: in Chromium with an offscreen document and without one, and in Firefox.
// The worker is killed meanwhile. What the servers sent is counted against what the extension noted.

import assert from "node:assert/strict";
import { eventually } from "./lib/eventually.mjs";
import { inEachBrowser } from "./lib/fallback-browsers.mjs";
import { FeedServer, GraphServer } from "./lib/feed-servers.mjs";

const TIMEOUT = 60_000;

const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** The worker, as its own source: a socket of `io`, and a session with a preset, a filter and a guard. */
function program({ connect, io, api, note }) {
  const bridge = connect({ fallback: "browser" });
  bridge.on("error", ({ code }) => note("errors", code));
  const addresses = new Promise((resolve) => {
    api.storage.local.get("urls").then(({ urls }) => urls && resolve(urls));
    api.storage.onChanged.addListener(({ urls }) => urls && resolve(urls.newValue));
  });
  const feed = addresses.then(({ feed: url }) => {
    const socket = io(`${url}/feed`, { auth: { token: "t" }, reconnectionDelay: 100, reconnectionDelayMax: 500 });
    socket.on("tick", (number) => note("ticks", number));
    socket.on("connect_error", ({ message }) => note("refused", message));
    socket.io.on("gap", ({ reason }) => note("feedGaps", reason));
    return socket;
  });
  addresses.then(async ({ graph: url }) => {
    const session = await bridge.open("graph", url, {
      preset: "graphql-transport-ws",
      reconnect: { maxDelay: 500 },
      guard: { receive: [{ when: { "/type": "next" }, types: { "/payload/data/n": "integer" } }] },
    });
    session.onGap(({ reason }) => note("graphGaps", reason));
    session.on("message", ({ json: { type, payload } }) => {
      if (type === "next") return note("nexts", payload.data.n);
      if (type === "noise") return note("noise", type);
    });
    session.subscribe("numbers", {
      send: [{ id: "1", type: "subscribe", payload: { query: "subscription { n }" } }],
      filter: [{ when: { "/type": "noise" }, do: "drop" }],
    });
  });
  api.runtime.onMessage.addListener((message, _sender, respond) => {
    if (!message.add && !message.state) return false;
    (async () => {
      const socket = await feed;
      if (message.state) return respond({ mode: bridge.mode, capabilities: bridge.welcome?.capabilities });
      const sum = await socket.timeout(20_000).emitWithAck("add", ...message.add);
      const length = await socket.timeout(20_000).emitWithAck("mirror", new Uint8Array(message.add).buffer);
      respond([sum, length]);
    })().catch((error) => respond(String(error)));
    return true;
  });
}

/** What the worker has noted. */
async function noted(page) {
  const { log } = await page.evaluate(() => chrome.storage.local.get("log"));
  return { ticks: [], nexts: [], noise: [], feedGaps: [], graphGaps: [], errors: [], refused: [], ...log };
}

const ask = (page, message) => page.evaluateFor(TIMEOUT, (request) => chrome.runtime.sendMessage(request), message);

const once = (numbers) => [...new Set(numbers)];

async function goesOn(t, { world, page, stopWorker, install, survives }) {
  const [feed, graph] = [await FeedServer.start(), await GraphServer.start()];
  t.after(() => Promise.all([feed.stop(), graph.stop()]));
  const push = (count) => {
    const last = feed.push(count);
    assert.equal(graph.push(count), last);
    return last;
  };
  const arrived = (last) =>
    eventually(TIMEOUT, `number ${last}`, async () => {
      const { ticks, nexts } = await noted(page);
      return ticks.includes(last) && nexts.includes(last);
    });
  const connected = (what) => eventually(TIMEOUT, what, () => feed.clients === 1 && graph.clients === 1);

  await page.evaluate((urls) => chrome.storage.local.set({ urls }), { feed: feed.url, graph: graph.url });
  await connected("connections of the browser's");
  const { mode, capabilities } = await ask(page, { state: true });
  assert.equal(mode, "browser");
  for (const one of ["socket.io", "presets", "filter", "guard"]) assert(capabilities.includes(one), one);
  assert(!feed.agents.some((agent) => /longwire/.test(agent)), "a browser's handshake");
  await arrived(push(100));
  assert.deepEqual(await ask(page, { add: [1, 2] }), [3, 2]);

  await stopWorker();
  push(50);
  // A message wakes the worker, as a click on the popup does.
  assert.deepEqual(await ask(page, { add: [3, 4] }), [7, 2]);
  await connected("connections of the next worker");
  const beforeHost = push(50);
  await arrived(beforeHost);
  const before = await noted(page);
  for (const numbers of [before.ticks, before.nexts]) {
    const wanted = survives ? upTo(beforeHost) : [...upTo(100), ...upTo(beforeHost, beforeHost - 49)];
    // What the worker noted and had not acknowledged when it was stopped is delivered once more.
    assert.deepEqual(survives ? once(numbers) : numbers, wanted);
  }
  const reported = survives ? [] : ["reset"];
  assert.deepEqual([before.feedGaps, before.graphGaps], [reported, reported], "missing messages are reported");

  await install();
  await eventually(TIMEOUT, "the host noticed", async () => (await ask(page, { state: true })).mode === "host");
  await arrived(push(20));
  const held = await world.longwire("status", "--json");
  assert(!held.includes('"graph"'), "the connections stay where they are");
  const stayed = feed.agents.length;
  await Promise.all([feed, graph].map((server) => server.stop().then(() => server.listen())));
  await connected("connections of the broker's");
  assert.match(feed.agents.at(-1), /longwire/);
  assert.match(graph.agents.at(-1), /longwire/);
  assert.equal(feed.agents.length, stayed + 1, "one connection more, not two");
  assert.deepEqual(await ask(page, { add: [5, 6] }), [11, 2]);
  const last = push(20);
  await arrived(last);

  const after = await noted(page);
  assert.deepEqual(after.ticks, [...before.ticks, ...upTo(last, beforeHost + 1)], "in order, each once");
  assert.deepEqual(after.nexts, [...before.nexts, ...upTo(last, beforeHost + 1)], "in order, each once");
  assert.deepEqual([after.feedGaps, after.graphGaps], [[...reported, "reset"], [...reported, "reset"]]);
  assert.deepEqual(feed.received, [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  // While a server is away, its port refuses connections.
  const refused = after.refused.filter((message) => !/Connection refused/.test(message));
  assert.deepEqual([after.noise, after.errors, refused, graph.faults], [[], [], [], []]);
  assert(graph.subscribed.every((count) => count === 1), `subscribed once on each connection: ${graph.subscribed}`);
  t.diagnostic(`numbers: ${last} sent, ${after.ticks.length} by io(), ${after.nexts.length} by the preset`);
}

inEachBrowser("io() and a preset", { program, run: goesOn });
