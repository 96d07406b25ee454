// `LongwireSocket` with the option `session`: it outlives its connections and workers.

import "./support/close-event.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SocketOptions } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { name, opened, persistent, socket } from "./support/socket.js";
import { muteConsole, startWorker } from "./support/worker.js";

test("a persistent socket: a drop is not a close; messages sent meanwhile wait", async () => {
  const { made, log, broker, worker } = await opened(persistent);
  const session = name(worker);
  broker.link(session, "waiting", { retryIn: 500 });
  assert.equal(made.readyState, 1);
  made.send("meanwhile");
  broker.link(session, "connecting");
  broker.link(session, "open", { continuity: "unknown" });
  broker.append(session, { type: "gap", from: 5, to: 5, count: 2, reason: "overflow", exact: true });
  await settle();
  assert.deepEqual(log, ["open", "reconnecting", "resumed", "gap"]);
  assert.equal(broker.session(session).server.length, 1);
});

test("a persistent socket: failed first dials fire `reconnecting`, and the state stays connecting", async () => {
  const worker = startWorker();
  const { made, log } = socket(worker, persistent);
  await settle();
  worker.broker.link(name(worker), "waiting");
  assert.deepEqual([log, made.readyState], [["reconnecting"], 0]);
  worker.broker.link(name(worker), "open");
  await settle();
  assert.deepEqual(log, ["reconnecting", "open"]);
});

test("a persistent socket in the next worker receives the messages since the last worker, also while the link is down", async () => {
  // A worker of its own has no memory of the other's names.
  const session = "persistent";
  const first = await opened({ session });
  first.broker.text(session, "a");
  await first.worker.clock.advance(50);
  const worker = first.worker.next();
  first.broker.text(session, "b");
  first.broker.link(session, "waiting");
  const { log, made } = socket(worker, { session });
  await settle();
  assert.deepEqual(log, ["reconnecting", "open", "message b"]);
  assert.equal(made.readyState, 1);
  first.broker.link(session, "open");
  assert.deepEqual(log.at(-1), "resumed");
});

test("a persistent socket that failed permanently closes, and the next one dials again", async () => {
  const { log, broker, worker } = await opened(persistent);
  broker.link(name(worker), "failed", {
    error: { code: "http-status", message: "404", retry: "no" },
    status: 404,
  });
  await settle();
  assert.deepEqual(log, ["open", "error", "close 1006 false"]);
  const again = socket(worker, persistent);
  await settle();
  assert.equal(broker.session(name(worker)).state, "connecting");
  assert.deepEqual(again.log, []);
});

test("a persistent socket warns once of a subprotocol with a login, unless the broker logs in", async () => {
  const sent = muteConsole();
  const worker = startWorker();
  const open = async (session: string, options: SocketOptions = {}) => {
    socket(worker, { session, ...options }, ["mqtt"]);
    await settle();
    worker.broker.link(session, "open", { subprotocol: "mqtt" });
    await settle();
  };
  await open("one", { greeting: [{ text: "hello" }] });
  assert.equal(sent.length, 0);
  await open("two");
  assert.match(String(sent), /"mqtt" logs in on every connection.*LIBRARIES/);
  worker.broker.link("two", "open", { subprotocol: "mqtt" });
  await settle();
  assert.equal(sent.length, 1);
});

test("a persistent socket warns when its links end right after they were resumed", async () => {
  const sent = muteConsole();
  const { worker, broker } = await opened({ session: "short" });
  for (let n = 0; n < 3; n += 1) {
    assert.equal(sent.length, 0);
    broker.link("short", "waiting");
    broker.link("short", "open");
    await settle();
  }
  broker.link("short", "waiting");
  await settle();
  assert.match(String(sent), /3 times right after/);
  assert.equal(worker.broker.sessions.size, 1);
});
