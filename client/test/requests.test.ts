// Requests, subscriptions, credentials and commands of a session.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LongwireError, Received } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { startWorker, watch } from "./support/worker.js";

test("request() resolves with its answer, or rejects with its error", async () => {
  const { broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const good = watch(session.request({ id: 1 }, { match: { out: "/id", in: "/id" } }));
  const bad = watch(session.request({ id: 2 }, { match: { out: "/id", in: "/id" }, timeout: 5 }));
  await settle();
  const [one, two] = frames("request");
  assert.equal(one?.timeout, 30000);
  assert(one && two);
  broker.append("s", { type: "response", id: one.id, json: { id: 1, ok: true } });
  broker.append("s", {
    type: "response",
    id: two.id,
    error: { code: "timeout", message: "no", retry: "later" },
  });
  await settle();
  assert.deepEqual((good.value as Received).json, { id: 1, ok: true });
  assert.equal((bad.error as LongwireError).code, "timeout");
});

test("a handler may await a request: answers overtake waiting messages", async () => {
  const { clock, broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", async (m) => {
    const answer = await session.request(m.text ?? "", { match: { jsonrpc: true } });
    seen.push(answer.text);
  });
  await settle();
  broker.text("s", "a");
  broker.text("s", "b");
  await settle();
  broker.append("s", { type: "response", id: frames("request")[0]?.id ?? "", text: "answer" });
  await settle();
  assert.deepEqual(seen, ["answer"]);
  assert.equal(frames("request").length, 2);
  await clock.advance(50);
  assert.equal(frames("ack").at(-1)?.seq, 1);
});

test("a request whose broker cannot be reached fails at its timeout", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  broker.silent = true;
  fake.port.die();
  const asked = watch(session.request("a", { match: { jsonrpc: true }, timeout: 1000 }));
  await clock.advance(7000);
  assert.equal((asked.error as LongwireError).code, "timeout");
});

test("the answer to a request of a stopped worker is reported to the next one", async () => {
  const first = startWorker();
  const session = await first.bridge.open("s", "ws://x");
  void session.request("a", { match: { jsonrpc: true }, id: "ask-1" }).catch(() => undefined);
  await settle();
  const second = first.next();
  const again = await second.bridge.open("s", "ws://x");
  const reported: unknown[] = [];
  again.on("response", (id, response) => reported.push([id, (response as Received).text]));
  first.broker.append("s", { type: "response", id: "ask-1", text: "late" });
  assert.deepEqual(reported, [["ask-1", "late"]]);
});

test("subscriptions: several holders share one on the wire, which ends with the last; others are not affected", async () => {
  const { broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: string[] = [];
  const spec = { send: [{ op: "sub" }], undo: ["bye"] };
  const offA = session.subscribe("ticks", spec, (m) => seen.push(`a ${m.text}`));
  const offB = session.subscribe("ticks", spec, (m) => seen.push(`b ${m.text}`));
  session.subscribe("other", {}, (m) => seen.push(`other ${m.text}`));
  await settle();
  assert.deepEqual(
    frames("subscribe").map(({ key, send, undo }) => ({ key, send, undo })),
    [
      { key: "ticks", send: [{ json: { op: "sub" } }], undo: [{ text: "bye" }] },
      { key: "other", send: undefined, undo: undefined },
    ],
  );
  broker.text("s", "1", { tags: ["ticks"] });
  offA();
  offA();
  broker.text("s", "2", { tags: ["ticks"] });
  broker.text("s", "3", { tags: ["other"] });
  assert.deepEqual(seen, ["a 1", "b 1", "b 2", "other 3"]);
  broker.text("s", "4");
  assert.deepEqual(
    seen.splice(4),
    ["b 4", "other 4"],
    "brokers that tag nothing keep nothing from a callback",
  );
  assert.equal(frames("unsubscribe").length, 0);
  offB();
  await settle();
  assert.equal(frames("unsubscribe")[0]?.key, "ticks");
  assert.deepEqual([...broker.session("s").subscriptions], ["other"]);
});

test("subscriptions are sent again only to a broker that does not know them", async () => {
  const { fake, clock, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  session.subscribe("ticks", { send: ["go"] });
  await settle();
  fake.port.die();
  await clock.advance(1000);
  assert.equal(frames("subscribe").length, 0);
  await fake.replaceBroker();
  await settle();
  assert.equal(frames("subscribe").length, 1);
});

test("credentials are given when the broker asks, also when it asked before there was a provider", async () => {
  const { broker, bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x", { auth: "provider" });
  broker.authNeeded("s");
  const asked: unknown[] = [];
  session.onAuth(async (request) => {
    asked.push(request);
    return { headers: { authorization: "Bearer t" } };
  });
  await settle();
  assert.deepEqual(asked, [{ session: "s", why: "start", attempt: 1, deadline: 60000 }]);
  assert.deepEqual(frames("authorize"), [
    { type: "authorize", session: "s", nonce: "n1", headers: { authorization: "Bearer t" } },
  ]);
  session.onAuth(() => {
    throw new Error("signed out");
  });
  broker.authNeeded("s", { nonce: "n2" });
  await settle();
  assert.deepEqual(frames("authorize").at(-1), {
    type: "authorize",
    session: "s",
    nonce: "n2",
    failed: "signed out",
  });
});

test("commands resolve with the broker's ok", async () => {
  const { bridge, frames } = startWorker();
  const session = await bridge.open("s", "ws://x");
  await session.reconnect();
  await session.window(0, 0);
  await session.authorize({ url: "wss://y" });
  assert.equal(frames("reconnect").length + frames("window").length + frames("authorize").length, 3);
});
