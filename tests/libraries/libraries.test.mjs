// Client libraries over LongwireSocket: each continues after everything that ends or interrupts a connection, with a real
// native host, a real broker and its server. docs/LIBRARIES.md has the table.
//   ONLY=mqtt npm test      one library

import assert from "node:assert/strict";
import { test } from "node:test";
import { clients } from "./lib/clients.mjs";
import { eventually, Harness } from "./lib/harness.mjs";

const MESSAGES = 300;
/** Libraries whose protocol carries binary data unchanged. */
const BINARY = ["partysocket", "reconnecting-websocket", "socket.io-client"];
/** Libraries whose protocol starts without a client message: a session can be used by a later connection. */
const PERSISTENT = ["partysocket", "reconnecting-websocket", "viem"];

const only = process.env.ONLY;
const names = Object.keys(clients).filter((name) => !only || name === only);

/** Most of the time is waiting: several at once. */
const AT_ONCE = { concurrency: 4 };

test("standard", AT_ONCE, (t) => Promise.all(names.map((name) => t.test(name, (each) => standard(each, name)))));

test("persistent", AT_ONCE, (t) => {
  const persistent = names.filter((name) => PERSISTENT.includes(name));
  return Promise.all(persistent.map((name) => t.test(name, (each) => survivesWorkers(each, name))));
});

async function standard(t, name) {
  const harness = await Harness.make(name);
  t.after(() => harness.end());
  const worker = await harness.worker({});
  await t.test(`connects, and ${MESSAGES} messages are echoed in order`, async () => {
    await worker.works("connected");
    const texts = Array.from({ length: MESSAGES }, (_, n) => `m${n}`);
    assert.deepEqual(await worker.ask("many", MESSAGES), texts);
  });
  if (BINARY.includes(name)) {
    await t.test("bytes are echoed", async () => {
      assert.deepEqual(await worker.ask("binary", [0, 127, 255]), [0, 127, 255]);
    });
  }
  await t.test("a killed host ends no connection", async () => {
    const before = [...harness.sockets];
    await worker.ask("killHost");
    await worker.works("after the host");
    assert.deepEqual([...harness.sockets], before);
  });
  await t.test("a link that is interrupted for three seconds", async () => {
    harness.cut(true);
    const cut = Date.now();
    await eventually("three seconds", () => Date.now() - cut > 3000);
    harness.cut(false);
    await worker.works("after the cut");
  });
  await t.test("a server that is restarted", async () => {
    await harness.stopServer();
    await harness.serve();
    await worker.works("after the restart");
  });
  await t.test("the next worker connects, and the connection of the previous one ends", async () => {
    const [before] = harness.sockets;
    await worker.kill();
    const next = await harness.worker({});
    await next.works("after the worker");
    await eventually("the old connection closed", () => !harness.sockets.has(before));
  });
}

async function survivesWorkers(t, name) {
  const harness = await Harness.make(name);
  t.after(() => harness.end());
  const worker = await harness.worker({ session: "persistent" });
  await worker.works("connected");
  const before = [...harness.sockets];
  await worker.kill();
  const next = await harness.worker({ session: "persistent" });
  await next.works("after the worker");
  assert.deepEqual([...harness.sockets], before, "the connection is unchanged");
  await harness.stopServer();
  await harness.serve();
  await next.works("after the restart");
}
