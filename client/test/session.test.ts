import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.js";
import type { Ack } from "../src/wire.js";
import { FakeClock, settle } from "./support/clock.js";
import { FakeWorld } from "./support/fake-port.js";

function world() {
  const fake = new FakeWorld();
  const clock = new FakeClock();
  const { broker } = fake;
  assert(broker);
  return { fake, clock, broker, bridge: connect({ api: fake.api(), clock }) };
}

const acks = (fake: FakeWorld) => fake.port.said.filter((frame): frame is Ack => frame.type === "ack");

test("messages reach the handler in order and are acknowledged after 50 ms", async () => {
  const { fake, clock, broker, bridge } = world();
  const session = await bridge.open("s", "ws://x");
  const seen: string[] = [];
  session.on("message", (m) => seen.push(m.text ?? ""));
  await settle();
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.deepEqual(acks(fake), []);
  await clock.advance(50);
  assert.deepEqual(acks(fake), [{ type: "ack", session: "s", seq: 3 }]);
});
