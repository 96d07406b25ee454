// Content scripts over `relay`: who may connect, what a page receives, what it acknowledges, and what outlives the worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect as connectPage, type PageBridge, type PageSession } from "../src/content/index.js";
import { type Bridge, type GapEvent, LongwireError, type SendOutcome } from "../src/index.js";
import { type RelayOptions, relay } from "../src/relay/index.js";
import { FakeBrowser, type FakePage } from "../src/testing/index.js";
import { muteConsole, watch } from "./support/worker.js";

/** A worker that has session `s` open and relays it, as it starts. */
async function startWorker(browser: FakeBrowser, more: Partial<RelayOptions> = {}): Promise<Bridge> {
  const bridge = browser.connect();
  bridge.on("error", () => undefined);
  relay(bridge, { sessions: ["s"], ...more });
  const session = await bridge.open("s", "wss://x");
  session.on("message", () => undefined);
  return bridge;
}

async function opened(browser: FakeBrowser, page: FakePage): Promise<[PageBridge, PageSession]> {
  const bridge = connectPage({ api: page.api });
  const opening = watch(bridge.open("s"));
  await browser.advance(100);
  assert(opening.value, String(opening.error));
  return [bridge, opening.value];
}

function texts(session: PageSession): unknown[] {
  const seen: unknown[] = [];
  session.on("message", ({ text }) => seen.push(text));
  return seen;
}

test("two pages each receive every message, send messages, and are not superseded", async () => {
  const browser = new FakeBrowser();
  await startWorker(browser);
  const server = browser.server("s");
  const [, one] = await opened(browser, browser.openPage({ tab: 7 }));
  const [, two] = await opened(browser, browser.openPage({ tab: 7 }));
  const ends: unknown[] = [];
  for (const session of [one, two]) session.on("detached", (reason) => ends.push(reason));
  const seen = [texts(one), texts(two)];
  server.send("hello");
  await browser.advance(100);
  assert.deepEqual(seen, [["hello"], ["hello"]]);
  const bytes = new Uint8Array([1, 2]);
  const sends = [one.send("text"), one.send(bytes), two.send({ n: 1 })].map((send) =>
    watch<SendOutcome>(send),
  );
  await browser.advance();
  assert.deepEqual(
    sends.map(({ value }) => value?.outcome),
    ["sent", "sent", "sent"],
  );
  assert.deepEqual(server.received, ["text", bytes, { n: 1 }]);
  server.onMessage((message) => message.reply({ id: 1, price: 7 }));
  const answer = watch(two.request({ id: 1 }, { match: { out: "/id", in: "/id" } }));
  await browser.advance();
  assert.deepEqual(JSON.parse(answer.value?.text ?? ""), { id: 1, price: 7 });
  assert.deepEqual(ends, []);
});

test("a slow page has a small window of messages, and does not slow down other pages", async () => {
  const browser = new FakeBrowser();
  await startWorker(browser);
  const server = browser.server("s");
  const [, slow] = await opened(browser, browser.openPage());
  const [, quick] = await opened(browser, browser.openPage());
  const seen = texts(quick);
  const running: (() => void)[] = [];
  const taken: unknown[] = [];
  slow.on("message", ({ text }) => {
    taken.push(text);
    return new Promise<void>((resolve) => running.push(resolve));
  });
  for (let at = 0; at < 500; at += 1) server.send(`${at}`);
  await browser.advance(2000);
  assert.equal(seen.length, 500);
  assert.deepEqual(taken, ["0"]);
  const waiting = slow.held;
  assert(waiting <= 66, `${waiting} messages are in the page`);
  while (taken.length < 500) {
    running.shift()?.();
    await browser.advance(50);
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 500 }, (_, at) => `${at}`),
  );
});

test("a page continues after the worker stops: no message is delivered twice, lost or sent twice", async () => {
  const browser = new FakeBrowser();
  await startWorker(browser);
  const server = browser.server("s");
  const [bridge, session] = await opened(browser, browser.openPage());
  const seen: unknown[] = [];
  let release: () => unknown = () => undefined;
  session.on("message", ({ text }) => {
    seen.push(text);
    return text === "one" ? new Promise<void>((resolve) => (release = resolve)) : undefined;
  });
  server.send("one");
  server.send("two");
  await browser.advance(100);
  browser.killWorker();
  const sent = watch<SendOutcome>(session.send("while there was no worker"));
  server.send("three");
  await browser.advance();
  assert.equal(bridge.state, "connecting");
  await startWorker(browser);
  await browser.advance(1000);
  assert.equal(bridge.state, "ready");
  release();
  await browser.advance(1000);
  server.send("four");
  await browser.advance(1000);
  assert.deepEqual(seen, ["one", "two", "three", "four"]);
  assert.equal(sent.value?.outcome, "sent");
  assert.deepEqual(server.received, ["while there was no worker"]);
});

test("a handler in a page that throws is called again", async () => {
  const browser = new FakeBrowser();
  await startWorker(browser);
  const page = browser.openPage();
  const [, session] = await opened(browser, page);
  let fail = true;
  const seen: [unknown, boolean][] = [];
  session.on("message", ({ text, redelivered }) => {
    seen.push([text, redelivered]);
    if (fail) throw new Error("not now");
  });
  const sent = muteConsole();
  browser.server("s").send("one");
  await browser.advance(60);
  fail = false;
  await browser.advance(5000);
  assert.deepEqual(seen.at(0), ["one", false]);
  assert.deepEqual(seen.at(-1), ["one", true]);
  assert(sent.length > 0);
});

test("gaps, states, `from` and detaching", async () => {
  const browser = new FakeBrowser();
  const worker = await startWorker(browser);
  const server = browser.server("s");
  for (const text of ["1", "2", "3"]) server.send(text);
  await browser.advance(100);
  const bridge = connectPage({ api: browser.openPage().api });
  const opening = watch(bridge.open("s", { from: "last:2" }));
  await browser.advance(100);
  const session = opening.value as PageSession;
  const seen = texts(session);
  const gaps: GapEvent[] = [];
  const states: unknown[] = [];
  const reasons: unknown[] = [];
  session.on("gap", (gap) => gaps.push(gap));
  session.on("state", ({ state }) => states.push(state));
  session.on("detached", (reason) => reasons.push(reason));
  server.gap(3);
  server.refuse(503);
  server.accept();
  await browser.advance(100);
  assert.deepEqual(seen, ["2", "3"]);
  assert.equal(gaps[0]?.count, 3);
  assert.deepEqual(states, ["waiting", "open"]);
  session.detach();
  assert.equal(session.state, "detached");
  await assert.rejects(session.send("late"), { code: "session-closed" });
  const again = watch(bridge.open("s"));
  await browser.advance(100);
  const seenAgain = texts(again.value as PageSession);
  server.send("4");
  await browser.advance(100);
  assert.deepEqual(seenAgain, ["4"]);
  void worker.sessions[0]?.close();
  await browser.advance(6000);
  assert.equal(again.value?.state, "detached");
  assert.deepEqual(reasons, ["left"]);
});

test("only this extension's content scripts connect, and only to the sessions of the list", async () => {
  const browser = new FakeBrowser();
  await startWorker(browser, { allow: ({ url }) => url?.startsWith("https://good.example/") ?? false });
  const refused = connectPage({ api: browser.openPage({ url: "https://bad.example/" }).api });
  const opening = watch(refused.open("s"));
  await browser.advance(100);
  assert(LongwireError.is(opening.error, "relay-refused"));
  assert.equal(refused.state, "failed");

  const page = browser.openPage({ url: "https://good.example/a" });
  const good = connectPage({ api: page.api });
  const [listed, other] = [watch(good.open("s")), watch(good.open("secret"))];
  await browser.advance(100);
  assert(listed.value);
  assert(LongwireError.is(other.error, "relay-refused"));

  for (const sender of [{ id: "another" }, { tab: undefined }]) {
    const forged = browser.openPage({ url: "https://good.example/b", sender });
    const opening = watch(connectPage({ api: forged.api }).open("s"));
    await browser.advance(100);
    assert(LongwireError.is(opening.error, "relay-refused"));
  }
});

test("a closed page leaves no client, port or stored position behind", async () => {
  const browser = new FakeBrowser();
  const worker = await startWorker(browser);
  const before = browser.openPorts;
  const page = browser.openPage();
  const [, session] = await opened(browser, page);
  texts(session);
  browser.server("s").send("one");
  await browser.advance(100);
  assert.equal(browser.openPorts, before + 1);
  page.close();
  await browser.advance(6000);
  assert.equal(browser.openPorts, before);
  assert.equal(worker.sessions.length, 1);
  browser.fireAlarm();
  await browser.advance(60_000);
  assert.equal(browser.openPorts, before);
});

test("a page receives the error for a missing host and waits for the host", async () => {
  const browser = new FakeBrowser();
  browser.removeHost();
  const worker = browser.connect();
  worker.on("error", () => undefined);
  relay(worker, { sessions: ["s"] });
  void worker.open("s", "wss://x");
  const bridge = connectPage({ api: browser.openPage().api });
  const errors: unknown[] = [];
  bridge.on("error", ({ code }) => errors.push(code));
  const opening = watch(bridge.open("s"));
  await browser.advance(1000);
  assert.deepEqual(errors, ["host-not-found"]);
  browser.installHost();
  await browser.advance(40_000);
  assert(opening.value);
});

test("a page gets an error when its extension is removed, or when its worker does not call relay", async () => {
  const browser = new FakeBrowser();
  browser.connect();
  const unanswered = connectPage({ api: browser.openPage().api });
  const errors: unknown[] = [];
  unanswered.on("error", ({ code }) => errors.push(code));
  void unanswered.open("s");
  await browser.advance(20_000);
  assert.deepEqual(errors, ["relay-missing"]);
  const orphan = connectPage({ api: { runtime: {} } });
  await assert.rejects(orphan.open("s"), { code: "extension-gone" });
});

test("relay() is called once", async () => {
  const browser = new FakeBrowser();
  const bridge = await startWorker(browser);
  assert.throws(() => relay(bridge, { sessions: ["s"] }), TypeError);
});
