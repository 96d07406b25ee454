// LongwireSocket against the browser's own WebSocket, in one page: the same things are done with both, and what they
// report must be the same: without the option `session` ours must behave exactly like the standard's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { conformance } from "./lib/conformance.mjs";
import { details } from "./lib/conformance-details.mjs";
import { OddServer } from "./lib/odd-server.mjs";
import { World } from "./lib/world.mjs";

const LONG = 300_000;

test("LongwireSocket behaves like WebSocket", async (t) => {
  const world = await World.make();
  const odd = await OddServer.start();
  try {
    await world.longwire("install", "--extension", world.id, "--browser", "chromium");
    await world.launch();
    const only = process.env.ONLY;
    for (const list of [conformance, details]) {
      const run = (name) => world.page.evaluateFor(LONG, list, name, odd.base, only);
      const native = await run("native");
      const ours = await run("longwire");
      for (const [name, expected] of Object.entries(native)) {
        await t.test(name, () => assert.deepEqual(ours[name], expected));
      }
    }
  } finally {
    t.diagnostic(await world.report());
    await odd.stop();
    await world.end();
  }
});
