import assert from "node:assert/strict";
import { test } from "node:test";
import { Joiner, SLICE, split } from "../src/parts.js";
import { settle } from "../src/testing/fake-clock.js";
import { startWorker } from "./support/worker.js";

test("split frames are joined, and no surrogate pair is split", () => {
  const frame = { type: "message", text: "a😀".repeat(50) };
  const parts = split(JSON.stringify(frame), "p1", 7);
  const joiner = new Joiner();
  const results = parts.map((part) => joiner.take(part));
  assert.deepEqual(results.at(-1), frame);
  assert(results.slice(0, -1).every((result) => result === undefined));
  for (const { data } of parts) assert(data.isWellFormed(), data);
});

test("a part never exceeds the browsers' limit, whatever it contains", () => {
  const worst = JSON.stringify({ text: `${"€".repeat(SLICE)}${'"'.repeat(SLICE)}` });
  for (const part of split(worst, "p1")) {
    assert(Buffer.byteLength(JSON.stringify(part)) < 1024 * 1024);
  }
});

test("a frame with missing parts is dropped, others are not", () => {
  const joiner = new Joiner();
  const [a0, , a2] = split(JSON.stringify("x".repeat(25)), "a", 10);
  const [b0, b1] = split(JSON.stringify("y".repeat(15)), "b", 10);
  assert(a0 && a2 && b0 && b1);
  joiner.take(a0);
  joiner.take(b0);
  assert.equal(joiner.take(a2), undefined);
  assert.equal(joiner.take(b1), "y".repeat(15));
  assert.equal(joiner.take({ ...a2, index: 3 }), undefined);
});

test("a large message is sent and received in parts", async () => {
  const { fake, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const big = "é".repeat(2_000_000);
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  await session.send(big);
  assert.equal((broker.session("s").server[0] as { text?: string }).text, big);
  for (const posted of fake.port.posted) assert(Buffer.byteLength(JSON.stringify(posted)) < 1024 * 1024);
  const message = { type: "message", session: "s", seq: 2, time: 1, text: big };
  for (const part of split(JSON.stringify(message), "h1")) fake.port.deliver(part);
  await settle();
  assert.deepEqual(seen, [big]);
});
