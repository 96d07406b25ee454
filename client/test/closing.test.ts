import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../src/testing/fake-clock.js";
import type { ToBroker } from "../src/wire.js";
import { muteConsole, startWorker, type Worker, watch } from "./support/worker.js";

/** The broker takes `close` and has not finished yet. */
function closesSlowly({ broker }: Worker): ToBroker[] {
  const closes: ToBroker[] = [];
  const receive = broker.receive.bind(broker);
  broker.receive = (port, frame) => {
    if (frame.type !== "close") return receive(port, frame);
    closes.push(frame);
    port.deliver({ type: "ok", id: frame.id });
  };
  return closes;
}

test("close waits until the broker has written what was accepted before, and every message has its outcome", async () => {
  const worker = startWorker();
  const closes = closesSlowly(worker);
  worker.broker.outcome = undefined;
  const session = await worker.bridge.open("s", "ws://x");
  const sends = ["a", "b", "c"].map((text) => watch(session.send(text, { id: text })));
  const closing = watch(session.close(1000, "bye"));
  await settle();
  assert.equal(closes.length, 1);
  assert.deepEqual([closing.done, ...sends.map(({ done }) => done)], [false, false, false, false]);
  worker.broker.end("s", "a", "sent");
  worker.broker.end("s", "b", "failed");
  await settle();
  assert.equal(closing.done, false);
  worker.fake.port.deliver({ type: "detached", session: "s", reason: "closed" });
  await settle();
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
  // The broker reported nothing about the last one: it had accepted it.
  assert.deepEqual(
    sends.map(({ value }) => value?.outcome),
    ["sent", "failed", "unknown"],
  );
});

test("close is sent after all frames that wait for the broker", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const texts = Array.from({ length: 3000 }, (_, at) => `${at}`);
  const sends = texts.map((text) => session.send(text));
  const closing = session.close();
  const { server } = broker.session("s");
  const ends = await Promise.all(sends);
  await closing;
  assert.deepEqual(
    server.map((frame) => (frame as { text?: string }).text),
    texts,
  );
  assert(ends.every(({ outcome }) => outcome === "sent"));
});

test("a port lost while the broker closes a session does not open the session again", async () => {
  const worker = startWorker();
  closesSlowly(worker);
  const session = await worker.bridge.open("s", "ws://x", { format: "json" });
  const closing = watch(session.close());
  await settle();
  worker.fake.port.die();
  await worker.clock.advance(5000);
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
  assert.equal(worker.frames("open").length, 0);
});

test("a close without an answer is sent again and does not create the session again", async () => {
  const worker = startWorker();
  const session = await worker.bridge.open("s", "ws://x", { format: "json" });
  worker.broker.silent = true;
  const closing = watch(session.close());
  await settle();
  worker.broker.silent = false;
  worker.fake.port.die();
  await worker.clock.advance(1000);
  const [open] = worker.frames("open");
  assert.deepEqual([open?.url, open?.options], [undefined, undefined]);
  assert.equal(worker.frames("close").length, 1);
  assert.deepEqual([closing.done, closing.error], [true, undefined]);
});

test("close resolves after closeTimeout when the broker does not report the end", async () => {
  const worker = startWorker();
  closesSlowly(worker);
  const session = await worker.bridge.open("s", "ws://x", { closeTimeout: 2000 });
  const closing = watch(session.close());
  await worker.clock.advance(6999);
  assert.equal(closing.done, false);
  await worker.clock.advance(1);
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
});

test("a page that only attached re-attaches once the worker has created the session again", async () => {
  muteConsole();
  const { fake, clock, broker, bridge } = startWorker({ client: "popup" });
  broker.refuse.set("open", { code: "no-session", message: "no session s", retry: "no" });
  await assert.rejects(bridge.open("s"), { code: "no-session" });
  broker.refuse.clear();
  const session = await bridge.open("s");
  const seen: unknown[] = [];
  session.on("message", ({ text }) => seen.push(text));
  await fake.replaceBroker();
  fake.broker?.refuse.set("open", { code: "no-session", message: "no session s", retry: "no" });
  await clock.advance(3000);
  fake.broker?.refuse.clear();
  await clock.advance(3000);
  fake.broker?.text("s", "again");
  await settle();
  assert.deepEqual(seen, ["again"]);
});

test("an open sent to a broker that shuts down is answered by the next one", async () => {
  const worker = startWorker();
  await worker.bridge.open("first", "ws://x");
  const receive = worker.broker.receive.bind(worker.broker);
  worker.broker.receive = (port, frame) => {
    if (frame.type !== "open") return receive(port, frame);
    const { id, session } = frame;
    port.deliver({ type: "error", code: "shutting-down", message: "leaving", retry: "later", id, session });
  };
  const opening = watch(worker.bridge.open("s", "ws://x"));
  await settle();
  assert.equal(opening.done, false);
  worker.broker.receive = receive;
  const host = { type: "host", code: "broker-lost", message: "" } as const;
  worker.fake.port.deliver({ ...host, state: "lost" });
  worker.fake.port.deliver({ ...host, state: "back" });
  await settle();
  assert.equal(opening.value?.name, "s");
});
