// What a `LongwireSocket` sends, and the bytes that it receives.

import "./support/close-event.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../src/testing/fake-clock.js";
import { name, opened, socket, texts, until } from "./support/socket.js";
import { muteConsole, startWorker } from "./support/worker.js";

test("send() throws while connecting, is silent when closed, and counts in both", async () => {
  const worker = startWorker();
  const { made } = socket(worker);
  assert.throws(() => made.send("x"), { name: "InvalidStateError" });
  assert.throws(() => (made.send as () => void)(), TypeError);
  await settle();
  worker.broker.link(name(worker), "open");
  made.close();
  made.send("é");
  assert.equal(made.bufferedAmount, 2);
  await settle();
  made.send(new Uint8Array(3));
  assert.equal(made.bufferedAmount, 5);
});

test("strings, buffers, views and blobs are sent in order and with their type", async () => {
  const { made, broker, worker } = await opened();
  const bytes = new Uint8Array([1, 2, 3, 4]);
  made.send("lone \ud800");
  made.send(new Blob([bytes]));
  made.send(bytes.buffer);
  made.send(bytes.subarray(1, 3));
  made.send({ toString: () => "object" } as never);
  made.send(undefined as never);
  assert.equal(made.bufferedAmount, 8 + 4 + 4 + 2 + 6 + 9);
  await settle();
  const bodies = broker.session(name(worker)).server.map((frame) => {
    const { text, base64 } = frame as { text?: string; base64?: string };
    return text ?? base64;
  });
  assert.deepEqual(bodies, ["lone \ufffd", "AQIDBA==", "AQIDBA==", "AgM=", "object", "undefined"]);
  assert.equal(made.bufferedAmount, 0);
});

test("bufferedAmount decreases when the broker accepts the message", async () => {
  const { made, broker } = await opened();
  broker.holdAccepted = true;
  made.send("12345");
  await settle();
  assert.equal(made.bufferedAmount, 5);
});

test("bytes arrive in the type of binaryType; other values are ignored", async () => {
  const { made, broker, worker } = await opened();
  const data: unknown[] = [];
  made.onmessage = (event) => data.push(event.data);
  assert.equal(made.binaryType, "blob");
  const send = () => broker.append(name(worker), { type: "message", time: 1, base64: "AQI=" });
  send();
  await settle();
  made.binaryType = "arraybuffer";
  made.binaryType = "nonsense" as never;
  assert.equal(made.binaryType, "arraybuffer");
  send();
  await settle();
  assert(data[0] instanceof Blob);
  assert.deepEqual(new Uint8Array(await (data[0] as Blob).arrayBuffer()), new Uint8Array([1, 2]));
  assert.deepEqual(data[1], new Uint8Array([1, 2]).buffer);
});

test("messages the broker has no room for wait in order and count in bufferedAmount", async () => {
  const { made, log, broker, worker } = await opened();
  broker.refuse.set("send", { code: "outbox-full", message: "full", retry: "later" });
  for (const text of ["1", "22", "333"]) made.send(text);
  await settle();
  assert.equal(made.bufferedAmount, 6);
  broker.refuse.delete("send");
  await until(() => made.bufferedAmount === 0);
  const arrived = broker.session(name(worker)).server.map((frame) => (frame as { text?: string }).text);
  assert.deepEqual(arrived, ["1", "22", "333"]);
  assert.deepEqual(log, ["open"]);
});

test("the broker gets three quarters of its outbox, and the rest when those are written", async () => {
  const { made, broker, worker } = await opened({ outbox: { messages: 16 } });
  broker.outcome = undefined;
  for (let n = 0; n < 40; n += 1) made.send(String(n));
  await settle();
  assert.equal(texts(worker).length, 12);
  assert.equal(made.bufferedAmount, 10 + 30 * 2 - 10 - 2 * 2);
  const ids = () =>
    worker
      .frames("send")
      .filter(({ receipt }) => receipt)
      .map(({ id }) => id as string);
  const reported = new Set<string>();
  while (texts(worker).length < 40) {
    const fresh = ids().filter((id) => !reported.has(id));
    assert(fresh.length > 0, "something must bring the room back");
    for (const id of fresh) {
      reported.add(id);
      broker.end(name(worker), id, "sent");
    }
    await settle();
  }
  assert.deepEqual(
    texts(worker),
    Array.from({ length: 40 }, (_, n) => String(n)),
  );
  assert.equal(made.bufferedAmount, 0);
});

test("messages that wait in the SDK are sent before the close", async () => {
  const { made, broker, worker } = await opened({ outbox: { messages: 8 } });
  broker.outcome = undefined;
  for (let n = 0; n < 10; n += 1) made.send(String(n));
  made.close(3000);
  await settle();
  assert.deepEqual([texts(worker).length, worker.frames("close").length], [6, 0]);
  for (const { id, receipt } of worker.frames("send"))
    if (receipt) broker.end(name(worker), id as string, "sent");
  await settle();
  assert.deepEqual([texts(worker).length, worker.frames("close").length], [10, 1]);
});

test("errors of the broker are logged, since the standard's events have none", async () => {
  const sent = muteConsole();
  const worker = startWorker();
  worker.broker.refuse.set("open", { code: "url-denied", message: "not allowed", retry: "action" });
  const { log } = socket(worker);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
  assert.match(String(sent), /not allowed/);
});
