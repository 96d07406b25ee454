import assert from "node:assert/strict";
import { test } from "node:test";
import type { GapEvent, SendOutcome } from "../src/index.js";
import { FakeBrowser } from "../src/testing/index.js";
import { watch } from "./support/worker.js";

test("a scripted server answers messages and requests", async () => {
  const browser = new FakeBrowser();
  const server = browser.server("prices");
  server.onMessage((message, self) => {
    if (message.data === "hello") self.send("welcome");
    else message.reply({ id: 1, price: 7 });
  });
  const session = await browser.connect().open("prices", "wss://prices.example");
  const seen: unknown[] = [];
  session.on("message", (message) => seen.push(message.text));
  assert.equal((await session.send("hello")).outcome, "sent");
  const answer = await session.request({ id: 1 }, { match: { out: "/id", in: "/id" } });
  await browser.advance();
  assert.deepEqual(seen, ["welcome"]);
  assert.deepEqual(JSON.parse(answer.text ?? ""), { id: 1, price: 7 });
  assert.deepEqual(server.received, ["hello", { id: 1 }]);
});

test("messages that a stopped worker has not finished are delivered to the next one", async () => {
  const browser = new FakeBrowser();
  const first = await browser.connect().open("s", "wss://x");
  first.on("message", () => new Promise(() => undefined));
  browser.server("s").send("one");
  await browser.advance();
  browser.killWorker();
  browser.server("s").send("two");
  const second = await browser.connect().open("s", "wss://x");
  const seen: unknown[] = [];
  second.on("message", (message) => seen.push(message.text));
  await browser.advance();
  assert.deepEqual(seen, ["one", "two"]);
});

test("messages sent while the link is down wait for it, and subscriptions are sent again", async () => {
  const browser = new FakeBrowser();
  const session = await browser.connect().open("s", "wss://x");
  const server = browser.server("s");
  session.subscribe("ticks", { send: ["subscribe ticks"] }, () => undefined);
  await browser.advance();
  server.drop();
  const sent = watch<SendOutcome>(session.send("later"));
  const dropped = watch<SendOutcome>(session.send("now or never", { volatile: true }));
  await browser.advance();
  assert.equal(session.state, "waiting");
  assert.equal(sent.done, false);
  assert.equal(dropped.value?.outcome, "dropped");
  server.accept();
  await browser.advance();
  assert.equal(sent.value?.outcome, "sent");
  assert.deepEqual(server.received, ["subscribe ticks", "subscribe ticks", "later"]);
});

test("gaps, credentials and a missing host", async () => {
  const browser = new FakeBrowser();
  const bridge = browser.connect();
  const errors: string[] = [];
  bridge.on("error", (error) => errors.push(error.code));
  const session = await bridge.open("s", "wss://x");
  const gaps: GapEvent[] = [];
  session.on("gap", (gap) => gaps.push(gap));
  const asked: (number | undefined)[] = [];
  session.onAuth((request) => {
    asked.push(request.status);
    return { headers: { Authorization: "Bearer 2" } };
  });
  browser.server("s").gap(3);
  browser.server("s").askCredentials();
  await browser.advance();
  assert.equal(gaps[0]?.count, 3);
  assert.deepEqual(asked, [401]);
  browser.removeHost();
  await browser.advance(60_000);
  assert.equal(bridge.state, "failed");
  assert.equal(errors.at(-1), "host-not-found");
});

test("the extension's own connect() uses the installed test browser, which is removed completely", async () => {
  const browser = new FakeBrowser();
  const undo = browser.install();
  const { connect } = await import("../src/index.js");
  const session = await connect().open("s", "wss://x");
  await session.send("hi");
  undo();
  assert.deepEqual(browser.server("s").received, ["hi"]);
  assert.equal("chrome" in globalThis, false);
});

test("a host that exits and a replaced broker", async () => {
  const browser = new FakeBrowser();
  const bridge = browser.connect();
  bridge.on("error", () => undefined);
  const session = await bridge.open("s", "wss://x");
  await browser.killHost();
  await browser.advance(10_000);
  const sent = watch<SendOutcome>(session.send("again"));
  await browser.advance();
  assert.equal(sent.value?.outcome, "sent");
  await browser.replaceBroker();
  await browser.advance();
  assert.equal(session.state, "open");
});
