import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../src/testing/fake-clock.js";
import type { ToBroker } from "../src/wire.js";
import { hush, type Worker, watch, worker } from "./support/worker.js";

/** The broker takes `close` and has not finished yet. */
function closesSlowly({ broker }: Worker): ToBroker[] {
  const closes: ToBroker[] = [];
  const heard = broker.heard.bind(broker);
  broker.heard = (port, frame) => {
    if (frame.type !== "close") return heard(port, frame);
    closes.push(frame);
    port.say({ type: "ok", id: frame.id });
  };
  return closes;
}

test("close waits until the broker has written what was accepted before, and every message has its outcome", async () => {
  const life = worker();
  const closes = closesSlowly(life);
  life.broker.outcome = undefined;
  const session = await life.bridge.open("s", "ws://x");
  const sends = ["a", "b", "c"].map((text) => watch(session.send(text, { id: text })));
  const closing = watch(session.close(1000, "bye"));
  await settle();
  assert.equal(closes.length, 1);
  assert.deepEqual([closing.done, ...sends.map(({ done }) => done)], [false, false, false, false]);
  life.broker.end("s", "a", "sent");
  life.broker.end("s", "b", "failed");
  await settle();
  assert.equal(closing.done, false);
  life.fake.port.say({ type: "detached", session: "s", reason: "closed" });
  await settle();
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
  // Of the last one the broker has said nothing: it had accepted it.
  assert.deepEqual(
    sends.map(({ value }) => value?.outcome),
    ["sent", "failed", "unknown"],
  );
});

test("close stands behind what waits for the broker, however much that is", async () => {
  const { broker, bridge } = worker();
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

test("a port that is lost while the broker closes a session does not open it anew", async () => {
  const life = worker();
  closesSlowly(life);
  const session = await life.bridge.open("s", "ws://x", { format: "json" });
  const closing = watch(session.close());
  await settle();
  life.fake.port.die();
  await life.clock.advance(5000);
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
  assert.equal(life.said("open").length, 0);
});

test("a close that the broker may not have heard is said again without making the session anew", async () => {
  const life = worker();
  const session = await life.bridge.open("s", "ws://x", { format: "json" });
  life.broker.silent = true;
  const closing = watch(session.close());
  await settle();
  life.broker.silent = false;
  life.fake.port.die();
  await life.clock.advance(1000);
  const [open] = life.said("open");
  assert.deepEqual([open?.url, open?.options], [undefined, undefined]);
  assert.equal(life.said("close").length, 1);
  assert.deepEqual([closing.done, closing.error], [true, undefined]);
});

test("a broker that never tells of the end is not waited for beyond closeTimeout", async () => {
  const life = worker();
  closesSlowly(life);
  const session = await life.bridge.open("s", "ws://x", { closeTimeout: 2000 });
  const closing = watch(session.close());
  await life.clock.advance(6999);
  assert.equal(closing.done, false);
  await life.clock.advance(1);
  assert.deepEqual([closing.done, closing.error, session.state], [true, undefined, "detached"]);
});

test("a page that only attached comes back after the worker has made the session again", async () => {
  hush();
  const { fake, clock, broker, bridge } = worker({ client: "popup" });
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

test("an open that meets a broker which is leaving is answered by the next one", async () => {
  const life = worker();
  await life.bridge.open("first", "ws://x");
  const heard = life.broker.heard.bind(life.broker);
  life.broker.heard = (port, frame) => {
    if (frame.type !== "open") return heard(port, frame);
    const { id, session } = frame;
    port.say({ type: "error", code: "shutting-down", message: "leaving", retry: "later", id, session });
  };
  const opening = watch(life.bridge.open("s", "ws://x"));
  await settle();
  assert.equal(opening.done, false);
  life.broker.heard = heard;
  const host = { type: "host", code: "broker-lost", message: "" } as const;
  life.fake.port.say({ ...host, state: "lost" });
  life.fake.port.say({ ...host, state: "back" });
  await settle();
  assert.equal(opening.value?.name, "s");
});
