// One session: attachments, gaps, states, its end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type GapEvent, type LongwireError, type StateEvent } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { muteConsole, startWorker, watch } from "./support/worker.js";

test("after a lost port the session continues, and unfinished messages are not delivered twice", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  let free: (() => void) | undefined;
  session.on("message", (m) => {
    seen.push(m.text);
    if (m.text === "a") return new Promise<void>((resolve) => (free = resolve));
    return undefined;
  });
  broker.text("s", "a");
  broker.text("s", "b");
  await settle();
  fake.port.die();
  broker.text("s", "c");
  await clock.advance(1000);
  free?.();
  await clock.advance(1000);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.equal(fake.ports.length, 2);
  assert.equal(broker.session("s").acked.get("main"), 3);
});

test("a gap is reported in order; without a listener a warning is logged", async () => {
  const warned = muteConsole();
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  const off = session.onGap((gap) => seen.push(gap));
  await settle();
  broker.text("s", "a");
  broker.append("s", { type: "gap", from: 2, to: 2, count: 7, reason: "overflow", exact: true });
  broker.text("s", "b");
  const gap: GapEvent = { session: "s", from: 2, to: 2, count: 7, reason: "overflow", exact: true };
  assert.deepEqual(seen, ["a", gap, "b"]);
  assert.equal(warned.length, 0);
  off();
  broker.append("s", { type: "gap", from: 5, to: 5, count: 1, reason: "age", exact: true });
  assert.equal(warned.length, 1);
});

test("another epoch is reported as a gap, and positions start again", async () => {
  const { fake, clock, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(`${m.epoch.slice(0, 4)} ${m.seq} ${m.text}`));
  session.onGap((gap) => seen.push(gap.reason));
  await settle();
  fake.broker?.text("s", "a");
  await clock.advance(50);
  await fake.replaceBroker();
  await settle();
  fake.broker?.text("s", "b");
  await clock.advance(50);
  assert.deepEqual(seen, ["boot 1 a", "reset", "boot 1 b"]);
  assert.equal(fake.broker?.session("s").acked.get("main"), 1);
});

test("a handler can await a message behind a full window", async () => {
  const { fake, clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x", { window: { messages: 2, bytes: 1000 } });
  let finish = () => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const done: unknown[] = [];
  session.on("message", async (m) => {
    if (done.length === 0) await slow;
    done.push([m.text, (await session.send(`got ${m.text}`)).outcome]);
  });
  await settle();
  for (const text of ["1", "2", "3", "4", "5", "6", "7"]) broker.text("s", text);
  const stall = () => fake.port.deliver({ type: "stalled", session: "s", messages: 5, bytes: 5 });
  stall();
  await clock.advance(1000);
  assert.deepEqual(frames("window"), [], "a handler that is only slow gets no more");
  // It reads only now; the stall is not reported a second time.
  finish();
  await clock.advance(1000);
  assert.deepEqual(done, []);
  assert.deepEqual(
    frames("window").map(({ messages, bytes }) => [messages, bytes]),
    [[4, 2000]],
  );
  stall();
  await clock.advance(1000);
  const all = ["1", "2", "3", "4", "5", "6", "7"].map((text) => [text, "sent"]);
  assert.deepEqual(done.slice(0, 1), all.slice(0, 1));
  for (let n = 0; n < 3; n += 1) {
    stall();
    await clock.advance(1000);
  }
  assert.deepEqual(done, all);
});

test("states are reported with typed errors; past ones do not change session.state", async () => {
  const first = startWorker();
  const opened = await first.bridge.open("s", "wss://x/y?secret=1");
  const states: StateEvent[] = [];
  opened.onState((state) => states.push(state));
  first.broker.link("s", "open", { dial: 1, subprotocol: "v1" });
  first.broker.link("s", "waiting", {
    retryIn: 500,
    error: { code: "tls", message: "bad", retry: "action" },
  });
  assert.equal(opened.state, "waiting");
  assert.equal(states[0]?.subprotocol, "v1");
  assert.equal(states[1]?.error?.doctor, "longwire doctor --url wss://x/y");
  const second = first.next();
  first.broker.link("s", "open", { continuity: "unknown" });
  const again = await second.bridge.open("s", "wss://x/y?secret=1");
  assert.equal(again.state, "open");
});

test("when another port of the same client takes over, the loop ends with an error and no frame is sent", async () => {
  const { fake, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const loop = watch(session[Symbol.asyncIterator]().next());
  fake.port.deliver({ type: "detached", session: "s", reason: "superseded" });
  await settle();
  assert.equal((loop.error as LongwireError).code, "superseded");
  assert.equal(session.state, "detached");
  await assert.rejects(session.send("x"), { code: "superseded" });
  assert.deepEqual(broker.session("s").server, []);
});

test("close() ends the session for all clients and ends the loop; the name can be opened again", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const loop = watch(session[Symbol.asyncIterator]().next());
  await session.close(1000, "bye");
  await settle();
  assert.deepEqual(loop.value, { done: true, value: undefined });
  assert.equal(broker.sessions.size, 0);
  const again = await bridge.open("s", "ws://x");
  assert.notEqual(again, session);
  assert.equal(again.opened?.created, true);
});

test("open() right after close() or detach() waits for it", async () => {
  const { fake, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const epoch = session.opened?.epoch;
  const closing = session.close();
  const again = await bridge.open("s", "ws://x");
  await closing;
  assert.equal(again.opened?.created, true);
  // Word of the end of the old attachment may come late.
  const leaving = again.detach();
  const third = bridge.open("s", "ws://x");
  await leaving;
  fake.port.deliver({ type: "detached", session: "s", reason: "closed" });
  assert.equal((await third).opened?.created, false);
  assert.equal(broker.session("s").attached.size, 1);
  assert.notEqual(epoch, undefined);
});

test("a detached session receives nothing more; the next attachment does", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => {
    seen.push(m.text);
    return m.text === "a" ? session.detach() : undefined;
  });
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  const next = await bridge.open("s");
  const read: unknown[] = [];
  const loop = watch(
    (async () => {
      for await (const m of next) {
        read.push(m.text);
        if (m.text === "b") fake.port.deliver({ type: "detached", session: "s", reason: "superseded" });
      }
    })(),
  );
  await clock.advance(1000);
  assert.deepEqual(read, ["a", "b"]);
  assert.equal((loop.error as LongwireError).code, "superseded");
});

test("detach() acknowledges finished messages, and the next open continues", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  session.on("message", () => undefined);
  await settle();
  broker.text("s", "a");
  await session.detach();
  assert.equal(broker.session("s").acked.get("main"), 1);
  broker.text("s", "b");
  const seen: unknown[] = [];
  (await bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(seen, ["b"]);
});

test("open() rejects with the broker's reason, and a later open tries again", async () => {
  const { broker, bridge } = startWorker();
  broker.refuse.set("open", { code: "bad-url", message: "cannot parse `x`", retry: "no" });
  await assert.rejects(bridge.open("s", "x"), { code: "bad-url", message: "longwire: cannot parse `x`" });
  broker.refuse.clear();
  assert.equal((await bridge.open("s", "ws://x")).state, "connecting");
});

test("a temporarily refused attachment is requested again after a lost port", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  broker.refuse.set("open", { code: "rate-limited", message: "slowly", retry: "later" });
  fake.port.die();
  await clock.advance(1000);
  broker.text("s", "a");
  broker.refuse.clear();
  await clock.advance(3000);
  assert.deepEqual(seen, ["a"]);
});

test("a batch is unpacked in order", async () => {
  const { fake, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await settle();
  const frames = [1, 2, 3].map((seq) => ({ type: "message", session: "s", seq, time: 1, text: "x" }));
  fake.port.deliver({ type: "batch", frames });
  assert.deepEqual(seen, [1, 2, 3]);
});

test("messages in one frame arrive one by one, each with its own seq", async () => {
  const { fake, bridge, clock, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", ({ seq, time, data, redelivered }) => seen.push([seq, time, data, redelivered]));
  await settle();
  const shared = { type: "messages", session: "s", time: 5 };
  fake.port.deliver({ ...shared, seq: 1, text: ["a", ""] });
  fake.port.deliver({
    type: "batch",
    frames: [{ ...shared, seq: 3, redelivered: true, json: [{ a: 1 }, null] }],
  });
  assert.deepEqual(seen, [
    [1, 5, "a", false],
    [2, 5, "", false],
    [3, 5, { a: 1 }, true],
    [4, 5, null, true],
  ]);
  await clock.advance(50);
  assert.deepEqual(frames("ack"), [{ type: "ack", session: "s", seq: 4 }]);
});

test("messages of a frame are not delivered after a handler closed the port", async () => {
  const { fake, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", ({ text }) => {
    seen.push(text);
    fake.port.die();
  });
  await settle();
  fake.port.deliver({ type: "messages", session: "s", seq: 1, time: 5, text: ["a", "b"] });
  assert.deepEqual(seen, ["a"]);
});

test("two clients have separate positions", async () => {
  const main = startWorker();
  const popup = startWorker({ client: "popup" }, main.fake, main.clock);
  const seen: string[] = [];
  const one = await main.bridge.open("s", "ws://x");
  const other = await popup.bridge.open("s", "ws://x");
  one.on("message", (m) => seen.push(`main ${m.text}`));
  other.on("message", (m) => seen.push(`popup ${m.text}`));
  await settle();
  main.broker.text("s", "a");
  assert.deepEqual(seen.sort(), ["main a", "popup a"]);
});

test("options that the broker does not know are logged", async () => {
  const sent = muteConsole();
  const { broker, bridge } = startWorker();
  broker.ignored = ["formt"];
  await bridge.open("s", "ws://x", { formt: "json" });
  assert.match(String(sent), /unknown options: formt/);
});

test("in Firefox the Origin is that of the add-on's pages", async () => {
  const page = "moz-extension://12345678-9abc-def0-1234-56789abcdef0";
  const { fake, frames, bridge } = startWorker();
  const api = fake.api();
  await bridge.open("s", "ws://x");
  assert.equal(frames("open")[0]?.options, undefined);
  const firefox = connect({
    api: { ...api, runtime: { ...api.runtime, getURL: (path) => `${page}/${path}` } },
  });
  await firefox.open("one", "ws://x");
  await firefox.open("two", "ws://x", { headers: { origin: "https://x", "X-A": "1" } });
  await firefox.open("three");
  const opened = fake.port.sent.filter((frame) => frame.type === "open").map((frame) => frame.options);
  assert.deepEqual(opened.slice(-3), [
    { headers: { Origin: page } },
    { headers: { origin: "https://x", "X-A": "1" } },
    undefined,
  ]);
});
