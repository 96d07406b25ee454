// The names of version 0.1, which stay until 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LongwireError, type Off, type Unsubscribe } from "../src/index.js";
import { startWorker } from "./support/worker.js";

test("`error.said` is `originalMessage`", () => {
  const error = new LongwireError("port-lost", "longwire: lost", { originalMessage: "Port closed" });
  assert.equal(error.said, "Port closed");
});

test("`bridge.wake()` is `connect()`, and `rest()` is `disconnect()`", async () => {
  const { bridge, clock } = startWorker();
  bridge.wake();
  await clock.advance(0);
  assert.equal(bridge.state, "ready");
  await bridge.rest();
  assert.equal(bridge.state, "resting");
});

test("the type `Off` is `Unsubscribe`", () => {
  const { bridge } = startWorker();
  const off: Off = bridge.on("state", () => undefined);
  const unsubscribe: Unsubscribe = off;
  unsubscribe();
});
