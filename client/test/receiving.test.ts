// Messages from the log to their handlers and loops, and their acknowledgements.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LongwireError, Received } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { muteConsole, startWorker } from "./support/worker.js";

test("messages reach the handler in order and are acknowledged after 50 ms", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: string[] = [];
  session.on("message", (m) => seen.push(m.text ?? ""));
  await settle();
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.deepEqual(frames("ack"), []);
  await clock.advance(50);
  assert.deepEqual(frames("ack"), [{ type: "ack", session: "s", seq: 3 }]);
});

test("every form of content arrives as it was sent", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.data));
  broker.text("s", "text");
  broker.append("s", { type: "message", time: 1, json: { a: [1, null] } });
  broker.append("s", { type: "message", time: 1, base64: "AP8=" });
  broker.append("s", { type: "message", time: 1, event: "e", args: [1, "2"] });
  await settle();
  assert.deepEqual(seen, ["text", { a: [1, null] }, new Uint8Array([0, 255]), [1, "2"]]);
});

test("messages that arrive before the handler is added are queued for it", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.text("s", "early");
  await clock.advance(1000);
  assert.deepEqual(frames("ack"), []);
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  await clock.advance(50);
  assert.deepEqual(seen, ["early"]);
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("an async handler delays the next message and the acknowledgement", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  const done: (() => void)[] = [];
  session.on("message", (m) => {
    seen.push(m.text);
    return new Promise<void>((resolve) => done.push(resolve));
  });
  broker.text("s", "a");
  broker.text("s", "b");
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  assert.deepEqual(frames("ack"), []);
  done[0]?.();
  await clock.advance(50);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("a handler that throws is called again, a bounded number of times, and the message is not acknowledged", async () => {
  muteConsole();
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: [unknown, boolean][] = [];
  const errors: [LongwireError, Received | undefined][] = [];
  session.on("error", (error, message) => errors.push([error, message]));
  session.on("message", async (m) => {
    seen.push([m.text, m.redelivered]);
    if (m.text === "bad") throw new Error("no");
  });
  broker.text("s", "bad");
  broker.text("s", "good");
  await clock.advance(60_000);
  assert.deepEqual(seen, [
    ["bad", false],
    ["bad", true],
    ["bad", true],
  ]);
  assert.deepEqual(frames("ack"), []);
  assert.equal(errors.length, 1);
  assert.equal(errors[0]?.[0].code, "handler-failed");
  // Skipping it is the developer's decision.
  errors[0]?.[1]?.done();
  await clock.advance(50);
  assert.deepEqual(seen.at(-1), ["good", false]);
  assert.equal(frames("ack").at(-1)?.seq, 2);
});

test("a `match` that throws counts as its handler: others and later messages are not lost", async () => {
  muteConsole();
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  const errors: [LongwireError, Received | undefined][] = [];
  session.on("error", (error, message) => errors.push([error, message]));
  const match = (m: Received) => (m.json as { channel: string }).channel === "ticks";
  session.subscribe("ticks", { match }, (m) => seen.push(m.json));
  session.on("message", (m) => seen.push(m.data));
  await settle();
  broker.text("s", "no JSON");
  broker.append("s", { type: "message", time: 1, json: { channel: "ticks" } });
  await clock.advance(5000);
  assert.deepEqual(seen, ["no JSON"]);
  assert.equal(errors[0]?.[0].code, "handler-failed");
  errors[0]?.[1]?.done();
  await clock.advance(50);
  assert.deepEqual(seen, ["no JSON", { channel: "ticks" }, { channel: "ticks" }]);
  assert.equal(frames("ack").at(-1)?.seq, 2);
});

test("a handler that throws once is acknowledged after its second try, and the others are not called twice", async () => {
  muteConsole();
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const calls = { flaky: 0, steady: 0 };
  session.on("message", () => {
    calls.flaky += 1;
    if (calls.flaky === 1) throw new Error("once");
  });
  session.on("message", () => {
    calls.steady += 1;
  });
  broker.text("s", "a");
  await clock.advance(1000);
  assert.deepEqual(calls, { flaky: 2, steady: 1 });
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("a message that a stopped worker has not finished is delivered to the next worker", async () => {
  muteConsole();
  const first = startWorker();
  const session = await first.bridge.open("s", "ws://x");
  session.on("message", () => new Promise(() => undefined));
  first.broker.text("s", "kept");
  await first.clock.advance(1000);
  const second = first.next();
  const seen: unknown[] = [];
  (await second.bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(seen, ["kept"]);
});

test("the loop acknowledges a message when it asks for the next", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const bodies: (() => void)[] = [];
  const seen: unknown[] = [];
  void (async () => {
    for await (const m of session) {
      seen.push(m.text);
      await new Promise<void>((resolve) => bodies.push(resolve));
    }
  })();
  broker.text("s", "a");
  broker.text("s", "b");
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  assert.deepEqual(frames("ack"), []);
  bodies[0]?.();
  await clock.advance(50);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("a message whose loop was exited early goes to the next reader, unless done() was called", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  for await (const m of session) if (m.text === "a") break;
  for await (const m of session) {
    assert.deepEqual([m.text, m.redelivered], ["a", true]);
    m.done();
    break;
  }
  for await (const m of session) {
    assert.deepEqual([m.text, m.redelivered], ["b", false]);
    break;
  }
});

test("a second reader or handler in addition to a loop is refused", async () => {
  const { bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const loop = session[Symbol.asyncIterator]();
  void loop.next();
  assert.throws(() => session.on("message", () => undefined), TypeError);
  await assert.rejects(session[Symbol.asyncIterator]().next(), TypeError);
});

test("in manual mode only done() acknowledges, and no handler delays the next message", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x", { ack: "manual" });
  const seen: Received[] = [];
  session.on("message", (m) => {
    seen.push(m);
    return new Promise(() => undefined);
  });
  await settle();
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  await clock.advance(1000);
  assert.equal(seen.length, 3);
  assert.deepEqual(frames("ack"), []);
  seen[0]?.done();
  seen[2]?.done();
  await clock.advance(50);
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("a record that arrives twice is delivered once", async () => {
  const { fake, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await settle();
  broker.text("s", "a");
  broker.text("s", "b");
  fake.port.deliver({ type: "message", session: "s", seq: 1, time: 1, text: "a", redelivered: true });
  fake.port.deliver({ type: "message", session: "s", seq: 2, time: 1, text: "b", redelivered: true });
  broker.text("s", "c");
  assert.deepEqual(seen, [1, 2, 3]);
});

test("the window bounds the messages that wait without a handler", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { window: { messages: 8, bytes: 1000 } });
  for (let n = 1; n <= 20; n += 1) broker.text("s", String(n));
  await clock.advance(1000);
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await clock.advance(1000);
  assert.equal(seen.length, 20);
  assert(fake.port.sent.filter(({ type }) => type === "ack").length >= 2);
});

test("over twenty stopped workers messages keep their order and none is lost or delivered twice", async () => {
  let worker = startWorker();
  const seen: number[] = [];
  let sent = 0;
  for (let round = 0; round < 20; round += 1) {
    const session = await worker.bridge.open("s", "ws://x");
    session.on("message", async (m) => {
      seen.push(Number(m.text));
    });
    for (let n = 0; n < 37; n += 1) worker.broker.text("s", String(sent++));
    await worker.clock.advance(50);
    worker = worker.next();
    for (let n = 0; n < 5; n += 1) worker.broker.text("s", String(sent++));
  }
  const session = await worker.bridge.open("s", "ws://x");
  session.on("message", (m) => seen.push(Number(m.text)));
  await settle();
  assert.deepEqual(seen, [...Array(sent).keys()]);
});

test("a position that was stored is offered, even if its acknowledgement was lost", async () => {
  const first = startWorker();
  const session = await first.bridge.open("s", "ws://x");
  session.on("message", () => undefined);
  await settle();
  first.broker.text("s", "a");
  await first.clock.advance(50);
  first.broker.session("s").acked.set("main", 0);
  const second = first.next();
  const seen: unknown[] = [];
  (await second.bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(second.frames("open")[0]?.resume, { epoch: first.broker.session("s").epoch, seq: 1 });
  assert.deepEqual(seen, []);
});

test("several callbacks per event name, removed one by one", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: string[] = [];
  const off = session.onEvent("e", () => seen.push("one"));
  session.onEvent("e", () => seen.push("two"));
  session.onEvent("f", () => seen.push("f"));
  await settle();
  broker.append("s", { type: "message", time: 1, event: "e", args: [] });
  off();
  broker.append("s", { type: "message", time: 1, event: "e", args: [] });
  assert.deepEqual(seen, ["one", "two", "two"]);
});
