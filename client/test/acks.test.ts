import assert from "node:assert/strict";
import { test } from "node:test";
import { ACK_DELAY, Acks } from "../src/acks.js";
import { FakeClock, settle } from "../src/testing/fake-clock.js";

function acks(window: number) {
  const clock = new FakeClock();
  const log: string[] = [];
  let release: (() => void) | undefined;
  const port = {
    keep: async (seq: number) => {
      log.push(`keep ${seq}`);
      if (slow.on) await new Promise<void>((resolve) => (release = resolve));
    },
    ack: (seq: number) => void log.push(`ack ${seq}`),
  };
  const slow = { on: false, release: () => release?.() };
  return { clock, log, slow, acks: new Acks(clock, port, window, 0) };
}

test("finished messages are acknowledged together after 50 ms", async () => {
  const { clock, log, acks: all } = acks(4096);
  const [one, two, three] = [all.arrived(1), all.arrived(2), all.arrived(5)];
  one.finish();
  three.finish();
  await clock.advance(ACK_DELAY - 1);
  assert.deepEqual(log, []);
  await clock.advance(1);
  assert.deepEqual(log, ["keep 1", "ack 1"]);
  two.finish();
  await clock.advance(ACK_DELAY);
  assert.deepEqual(log.slice(2), ["keep 5", "ack 5"]);
});

test("a quarter of the window is acknowledged immediately", async () => {
  const { log, acks: all } = acks(8);
  all.arrived(1).finish();
  await settle();
  assert.deepEqual(log, []);
  all.arrived(2).finish();
  await settle();
  assert.deepEqual(log, ["keep 2", "ack 2"]);
});

test("the position is stored before the acknowledgement is sent, with one write at a time", async () => {
  const { log, slow, acks: all } = acks(4);
  slow.on = true;
  all.arrived(1).finish();
  all.arrived(2).finish();
  all.arrived(3).finish();
  await settle();
  assert.deepEqual(log, ["keep 1"]);
  slow.on = false;
  slow.release();
  await settle();
  assert.deepEqual(log, ["keep 1", "ack 1", "keep 3", "ack 3"]);
});

test("finishing a message twice counts once; after close nothing is acknowledged", async () => {
  const { clock, log, acks: all } = acks(8);
  const one = all.arrived(1);
  one.finish();
  one.finish();
  assert.equal(all.busy, false);
  all.close();
  await clock.advance(1000);
  assert.deepEqual(log, []);
});

test("on a new attachment the position is acknowledged again", async () => {
  const { clock, log, acks: all } = acks(8);
  all.arrived(1).finish();
  await clock.advance(ACK_DELAY);
  all.reattached();
  await settle();
  assert.equal(log.length, 2);
  await clock.advance(ACK_DELAY);
  assert.deepEqual(log, ["keep 1", "ack 1", "keep 1", "ack 1"]);
});
