// Where a client begins, and what its types and its schema promise.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnyLongwireError, LongwireError, type Received, type StandardSchema } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { muteConsole, startWorker, type Worker } from "./support/worker.js";

interface Tick {
  n: number;
}

/** What zod's `z.object({ n: z.number() })` does, as Standard Schema has it. */
function ticks(wait?: Promise<void>): StandardSchema<Tick> {
  const check = (value: unknown) => {
    const { n } = (value ?? {}) as { n?: unknown };
    return typeof n === "number"
      ? { value: { n: n * 10 } }
      : { issues: [{ message: "Expected number", path: ["n"] as PropertyKey[] }] };
  };
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => (wait ? wait.then(() => check(value)) : check(value)),
    },
  };
}

/** A session with a hundred messages that another client has seen, and one of `client` with its position. */
async function history(): Promise<Worker> {
  const main = startWorker();
  await main.bridge.open("s", "ws://x");
  for (let at = 1; at <= 100; at += 1) main.broker.text("s", `${at}`);
  return main;
}

for (const [from, old] of [
  ["now", []],
  ["last:3", ["98", "99", "100"]],
  ["start", Array.from({ length: 100 }, (_, at) => `${at + 1}`)],
] as const) {
  test(`from: "${from}" decides what a page gets of what was before`, async () => {
    const main = await history();
    const popup = startWorker({ client: "popup" }, main.fake, main.clock);
    const session = await popup.bridge.open("s", { from });
    const seen: unknown[] = [];
    const gaps: unknown[] = [];
    session.on("message", ({ text }) => seen.push(text));
    session.onGap((gap) => gaps.push(gap));
    await settle();
    main.broker.text("s", "new");
    await popup.clock.advance(100);
    assert.deepEqual(seen, [...old, "new"]);
    assert.deepEqual(gaps, []);
    assert.equal(popup.frames("open")[0]?.options, undefined);
    assert.equal(main.broker.session("s").acked.get("popup"), 101);
    // On another port it continues at its position.
    popup.fake.port.die();
    await popup.clock.advance(1000);
    main.broker.text("s", "newer");
    await settle();
    assert.deepEqual(seen, [...old, "new", "newer"]);
  });
}

test("from: now also applies to a known client", async () => {
  const main = await history();
  const first = startWorker({ client: "popup" }, main.fake, main.clock);
  await first.bridge.open("s", { from: "start" });
  await settle();
  const second = first.next();
  const session = await second.bridge.open("s", { from: "now" });
  const seen: unknown[] = [];
  session.on("message", ({ text }) => seen.push(text));
  await settle();
  main.broker.text("s", "new");
  await settle();
  assert.deepEqual(seen, ["new"]);
});

test("a schema gives messages their type, and its value is the message's json", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { format: "json", schema: ticks() });
  const seen: number[] = [];
  session.on("message", ({ json }) => seen.push(json.n));
  await settle();
  broker.append("s", { type: "message", time: 1, json: { n: 1 } });
  assert.deepEqual(seen, [10]);
});

test("`invalid` has the path and text of each issue, and its callback acknowledges the message", async () => {
  const { clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { format: "json", schema: ticks() });
  const seen: unknown[] = [];
  session.on("message", ({ json }) => seen.push(json));
  let free: (() => void) | undefined;
  session.on("invalid", (message, error) => {
    seen.push([message.json, error.code, error.detail.issues[0]?.message, error.message]);
    return new Promise<void>((resolve) => {
      free = resolve;
    });
  });
  await settle();
  broker.append("s", { type: "message", time: 1, json: { n: "one" } });
  broker.append("s", { type: "message", time: 1, json: { n: 2 } });
  await clock.advance(100);
  const why = "longwire: the schema rejects message 1: n: Expected number";
  assert.deepEqual(seen, [[{ n: "one" }, "invalid-message", "Expected number", why]]);
  assert.equal(broker.session("s").acked.get("main"), 0);
  free?.();
  await clock.advance(100);
  assert.deepEqual(seen[1], { n: 20 });
  assert.equal(broker.session("s").acked.get("main"), 2);
});

test("without a listener a message that the schema refuses is not discarded", async () => {
  muteConsole();
  const { clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { format: "json", schema: ticks() });
  const seen: unknown[] = [];
  const reported: [AnyLongwireError, Received | undefined][] = [];
  session.on("message", ({ json }) => seen.push(json.n));
  session.on("error", (error, message) => reported.push([error, message]));
  await settle();
  broker.append("s", { type: "message", time: 1, json: "no" });
  broker.append("s", { type: "message", time: 1, json: { n: 2 } });
  await clock.advance(100);
  assert.deepEqual([seen, reported.length, broker.session("s").acked.get("main")], [[], 1, 0]);
  const [[error, message]] = reported as [[AnyLongwireError, Received]];
  if (error.code !== "invalid-message") assert.fail(error.code);
  assert.equal(error.detail.message, message);
  message.done();
  await clock.advance(100);
  assert.deepEqual([seen, broker.session("s").acked.get("main")], [[20], 2]);
});

test("a loop throws for a rejected message, and continues after done()", async () => {
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { format: "json", schema: ticks() });
  broker.append("s", { type: "message", time: 1, json: null });
  broker.append("s", { type: "message", time: 1, json: { n: 3 } });
  const read = async () => {
    for await (const { json } of session) return json.n;
  };
  const error = await read().catch((error: unknown) => error);
  assert(LongwireError.is(error, "invalid-message"));
  await assert.rejects(read, { code: "invalid-message" });
  (error.detail.message as Received).done();
  assert.equal(await read(), 30);
});

test("an asynchronous schema does not change the order", async () => {
  const { broker, bridge } = startWorker();
  let free: (() => void) | undefined;
  const wait = new Promise<void>((resolve) => {
    free = resolve;
  });
  const session = await bridge.open("s", "ws://x", { format: "json", schema: ticks(wait) });
  const seen: unknown[] = [];
  session.on("message", ({ json }) => seen.push(json.n));
  session.onGap(({ count }) => seen.push(`gap ${count}`));
  await settle();
  broker.append("s", { type: "message", time: 1, json: { n: 1 } });
  broker.append("s", { type: "gap", from: 2, to: 2, count: 7, reason: "overflow", exact: true });
  broker.append("s", { type: "message", time: 1, json: { n: 2 } });
  await settle();
  assert.deepEqual(seen, []);
  free?.();
  await settle();
  assert.deepEqual(seen, [10, "gap 7", 20]);
});

test("types of received and sent data", async () => {
  const { bridge } = startWorker();
  const session = await bridge.open<Tick, { op: "start"; job: number }>("s", "ws://x", { format: "json" });
  session.on("message", ({ json }) => {
    const n: number = json.n;
    // @ts-expect-error a tick has no such field
    return json.m ?? n;
  });
  await session.send({ op: "start", job: 7 });
  // @ts-expect-error not what this server takes
  await session.send({ op: "stop" });
  const failure: unknown = new LongwireError("timeout", "x");
  if (LongwireError.is(failure)) {
    const { code } = failure;
    // @ts-expect-error no such code
    assert(code !== "nonsense");
  }
  assert(!LongwireError.is(failure, "dns"));
});
