// Messages from the call to their outcome.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import type { LongwireError } from "../src/index.js";
import { FLIGHT } from "../src/pending.js";
import { settle } from "../src/testing/fake-clock.js";
import { startWorker, watch } from "./support/worker.js";

const texts = (frames: unknown[]) => frames.map((frame) => (frame as { text?: string }).text);

test("send() resolves with the outcome, not before", async () => {
  const { broker, bridge } = startWorker();
  broker.outcome = undefined;
  const session = await bridge.open("s", "ws://x");
  const sent = watch(session.send("a"));
  await settle();
  assert.equal(sent.done, false);
  const [id] = broker.session("s").ids.keys();
  assert(id);
  broker.end("s", id, "confirmed");
  await settle();
  assert.deepEqual(sent.value, { id, outcome: "confirmed", error: undefined });
});

test("without a receipt send() resolves as soon as the broker has it", async () => {
  const { broker, bridge } = startWorker();
  broker.outcome = undefined;
  const session = await bridge.open("s", "ws://x");
  assert.equal((await session.send("a", { receipt: false })).outcome, "accepted");
});

test("every kind of value is sent in its form", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const bytes = new Uint8Array([9, 0, 255, 9]);
  await session.send("text");
  await session.send({ a: 1 });
  await session.send(null);
  await session.send(bytes.buffer);
  await session.send(new DataView(bytes.buffer, 1, 2));
  await session.emit("hi", [1], { namespace: "/n" });
  const bodies = broker.session("s").server.map((frame) => {
    const {
      type: _t,
      session: _s,
      id: _i,
      receipt: _r,
      ...body
    } = frame as unknown as Record<string, unknown>;
    return body;
  });
  assert.deepEqual(bodies, [
    { text: "text" },
    { json: { a: 1 } },
    { json: null },
    { base64: "CQD/CQ==" },
    { base64: "AP8=" },
    { event: "hi", args: [1], namespace: "/n" },
  ]);
});

test("a value that is not JSON throws at the call", async () => {
  const { bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  assert.throws(() => session.send(circle), TypeError);
  assert.throws(() => session.send((() => undefined) as never), TypeError);
});

test("unaccepted messages are sent again with the same ids on a new port, in order, and reach the server once", async () => {
  const { fake, clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.holdAccepted = true;
  const sent = ["a", "b", "c"].map((text) => watch(session.send(text)));
  await settle();
  const ids = frames("send").map(({ id }) => id);
  assert.equal(ids.length, 3);
  fake.port.die();
  broker.holdAccepted = false;
  await clock.advance(1000);
  assert.deepEqual(
    frames("send").map(({ id }) => id),
    ids,
  );
  assert.deepEqual(texts(broker.session("s").server), ["a", "b", "c"]);
  for (const id of ids) broker.end("s", id as string, "sent");
  await settle();
  assert.deepEqual(
    sent.map(({ value }) => value?.outcome),
    ["sent", "sent", "sent"],
  );
});

test("unaccepted messages are sent again after `host back`", async () => {
  const { fake, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  if (fake.broker) fake.broker.holdAccepted = true;
  const sent = watch(session.send("a"));
  await settle();
  await fake.replaceBroker();
  await settle();
  assert.equal(frames("hello").length, 2);
  const [first, second] = frames("send");
  assert.equal(first?.id, second?.id);
  assert.equal(sent.value?.outcome, "sent");
});

test("messages sent without a port wait for one and precede later messages", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  fake.port.die();
  const early = watch(session.send("early"));
  await clock.advance(1000);
  await session.send("late");
  assert.equal(early.value?.outcome, "sent");
  assert.deepEqual(texts(broker.session("s").server), ["early", "late"]);
});

test("messages accepted by the old broker and unknown to the new one have the outcome `unknown`", async () => {
  const { fake, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  if (fake.broker) fake.broker.outcome = undefined;
  const sent = watch(session.send("a"));
  const again = watch(session.send("b", { ifLost: "resend" }));
  const asked = watch(session.request("c", { match: { jsonrpc: true } }));
  await settle();
  await fake.replaceBroker();
  await settle();
  assert.equal(sent.value?.outcome, "unknown");
  assert.equal(again.value?.outcome, "sent");
  assert.equal((asked.error as LongwireError).code, "broker-lost");
  assert.deepEqual(texts(fake.broker?.session("s").server ?? []), ["b"]);
});

test("time spent without a port counts against ttl", async () => {
  const { fake, clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.silent = true;
  fake.port.die();
  const short = watch(session.send("a", { ttl: 400 }));
  const long = watch(session.send("b", { ttl: 60_000 }));
  await clock.advance(500);
  fake.port.die();
  broker.silent = false;
  await clock.advance(1000);
  assert.equal(short.value?.outcome, "expired");
  assert.equal(long.value?.outcome, "sent");
  assert((frames("send")[0]?.ttl ?? 0) < 60_000);
  assert.deepEqual(texts(broker.session("s").server), ["b"]);
});

test("a refused send rejects with the broker's reason", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.refuse.set("send", { code: "outbox-full", message: "1000 messages wait", retry: "later" });
  await assert.rejects(session.send("a"), { code: "outbox-full", retry: "later" });
});

test("the number of unaccepted messages in flight is bounded", async () => {
  const { broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.holdAccepted = true;
  const sent = Array.from({ length: FLIGHT.entries + 10 }, (_, n) =>
    session.send(String(n), { receipt: false }),
  );
  await settle();
  assert.equal(frames("send").length, FLIGHT.entries);
  assert.equal(session.bufferedAmount > 0, true);
  broker.holdAccepted = false;
  for (const { id } of frames("send"))
    broker.receive(bridgePort(), { type: "send", session: "s", id, text: "" } as never);
  await Promise.all(sent);
  assert.equal(session.bufferedAmount, 0);
  assert.deepEqual(texts(broker.session("s").server), [...Array(FLIGHT.entries + 10).keys()].map(String));

  function bridgePort() {
    const [attached] = broker.session("s").attached.values();
    assert(attached);
    return attached.port;
  }
});

test("cancel removes messages that were not posted, and sends `cancel` for the others", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.outcome = undefined;
  const gone = new AbortController();
  const sent = watch(session.send("a", { signal: gone.signal }));
  await settle();
  gone.abort();
  await settle();
  assert.equal(sent.value?.outcome, "cancelled");
  fake.port.die();
  const waiting = new AbortController();
  const held = watch(session.request("b", { match: { jsonrpc: true }, signal: waiting.signal }));
  waiting.abort();
  await clock.advance(1000);
  assert.equal((held.error as LongwireError).code, "cancelled");
  assert.deepEqual(texts(broker.session("s").server), ["a"]);
});

test("buffers of another realm, such as a frame's, are sent as bytes", async () => {
  const { bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const foreign = runInNewContext(
    "const view = new Uint8Array([1, 2, 3]); [view.buffer, view, new DataView(view.buffer, 1)]",
  );
  for (const one of foreign as ArrayBuffer[]) session.send(one);
  await settle();
  assert.deepEqual(
    frames("send").map((frame) => (frame as { base64?: string }).base64),
    ["AQID", "AQID", "AgM="],
  );
  const blob = Object.setPrototypeOf(new Blob(["x"]), null);
  await session.send(blob);
  assert.equal((frames("send")[3] as { base64?: string }).base64, "eA==");
});

test("the bytes of a Blob are sent in order, before later messages", async () => {
  const { bridge, broker } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const sent = [session.send("a"), session.send(new Blob(["blob"])), session.send("b"), session.send("c")];
  assert.equal(session.bufferedAmount, 7);
  const outcomes = await Promise.all(sent);
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ["sent", "sent", "sent", "sent"],
  );
  const received = broker.session("s").server as { text?: string; base64?: string }[];
  assert.deepEqual(
    received.map(({ text, base64 }) => text ?? base64),
    ["a", "YmxvYg==", "b", "c"],
  );
  assert.equal(session.bufferedAmount, 0);
});

test("a Blob that cannot be read rejects, and later messages are sent", async () => {
  const { bridge, broker } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const { arrayBuffer } = Blob.prototype;
  Blob.prototype.arrayBuffer = () => Promise.reject(new DOMException("gone", "NotReadableError"));
  const unreadable = session.send(new Blob(["x"]));
  const after = session.send("after");
  await assert.rejects(unreadable, { name: "NotReadableError" });
  Blob.prototype.arrayBuffer = arrayBuffer;
  await after;
  assert.deepEqual(texts(broker.session("s").server), ["after"]);
  assert.equal(session.bufferedAmount, 0);
});

test("a Blob that is cancelled while it is read is not sent", async () => {
  const { bridge, broker } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const gone = new AbortController();
  const cancelled = session.send(new Blob(["x"]), { signal: gone.signal });
  const after = session.send("after");
  gone.abort();
  assert.equal((await cancelled).outcome, "cancelled");
  await after;
  assert.deepEqual(texts(broker.session("s").server), ["after"]);
});

test("a value that cannot be sent is a TypeError and no frame is sent", async () => {
  const { bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  for (const bad of [undefined, () => 1, 1n]) {
    assert.throws(() => void session.send(bad as never), TypeError);
  }
  // It would be `{}` as JSON, and nothing could correlate an answer with its bytes.
  await assert.rejects(session.request(new Blob(["x"]), { match: { jsonrpc: true } }), TypeError);
  assert.throws(() => session.subscribe("k", { send: [new Blob(["x"])] }), TypeError);
  await settle();
  assert.deepEqual(frames("send"), []);
});

test("a message cancelled without a port is cancelled on the next one, and not sent again", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.outcome = undefined;
  const gone = new AbortController();
  const taken = watch(session.send("taken", { signal: gone.signal }));
  await settle();
  broker.silent = true;
  const unanswered = watch(session.send("unanswered", { signal: gone.signal }));
  const asked = watch(session.request("asked", { match: { jsonrpc: true }, signal: gone.signal }));
  await settle();
  fake.port.die();
  gone.abort();
  broker.silent = false;
  await clock.advance(1000);
  assert.equal(taken.value?.outcome, "cancelled");
  assert.equal(unanswered.value?.outcome, "cancelled");
  assert.equal((asked.error as LongwireError).code, "cancelled");
  assert.deepEqual(texts(broker.session("s").server), ["taken"]);
  assert.equal(session.bufferedAmount, 0);
});

test("a message cancelled before it was sent is never sent", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const signal = AbortSignal.abort();
  assert.equal((await session.send("a", { signal })).outcome, "cancelled");
  const asked = watch(session.request("b", { match: { jsonrpc: true }, signal }));
  await clock.advance(100);
  assert.equal((asked.error as LongwireError).code, "cancelled");
  assert.deepEqual(broker.session("s").server, []);
  assert.deepEqual([...frames("send"), ...frames("request"), ...frames("cancel")], []);
});

test("frames of one event loop turn are sent together and in order", async () => {
  const { fake, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const before = fake.port.posted.length;
  for (let n = 0; n < 50; n += 1) void session.send(String(n), { receipt: false });
  await settle();
  const [batch] = fake.port.posted.slice(before) as { type: string; frames: unknown[] }[];
  assert.equal(batch?.type, "batch");
  assert.deepEqual(texts(batch?.frames ?? []), [...Array(50).keys()].map(String));
});

test("a ttl that is not a number is refused by the broker and does not expire", async () => {
  const { bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  void session.send("a", { ttl: "5s" as unknown as number });
  await settle();
  assert.equal(frames("send")[0]?.ttl, "5s");
});
