// A worker over fakes, in one call.

import assert from "node:assert/strict";
import { type Bridge, type ConnectOptions, connect } from "../../src/index.js";
import type { FakeBroker } from "../../src/testing/fake-broker.js";
import { FakeClock } from "../../src/testing/fake-clock.js";
import { FakeWorld } from "../../src/testing/fake-world.js";
import type { ToBroker } from "../../src/wire.js";

export interface Worker {
  fake: FakeWorld;
  clock: FakeClock;
  bridge: Bridge;
  /** The broker of this moment. */
  readonly broker: FakeBroker;
  /** The frames of one type that were sent on the last port. */
  frames<Type extends ToBroker["type"]>(type: Type): Extract<ToBroker, { type: Type }>[];
  /** The worker is terminated; the next one starts over the same storage. */
  next(options?: ConnectOptions): Worker;
}

export function startWorker(
  { listening = true, ...options }: ConnectOptions & { listening?: boolean } = {},
  fake = new FakeWorld(),
  clock = new FakeClock(),
): Worker {
  const bridge = connect({ ...options, api: fake.restart(), clock });
  // Reported errors would be printed; tests look at them where they matter. With a listener `open` waits for a host.
  if (listening) bridge.on("error", () => undefined);
  return {
    fake,
    clock,
    bridge,
    get broker() {
      assert(fake.broker);
      return fake.broker;
    },
    frames: (type) => fake.port.sent.filter((frame) => frame.type === type) as never,
    next: (again = options) => startWorker(again, fake, clock),
  };
}

/** Collects what a promise comes to, without waiting. */
export function watch<Value>(promise: Promise<Value>): { value?: Value; error?: unknown; done: boolean } {
  const seen: { value?: Value; error?: unknown; done: boolean } = { done: false };
  promise.then(
    (value) => Object.assign(seen, { value, done: true }),
    (error: unknown) => Object.assign(seen, { error, done: true }),
  );
  return seen;
}

/** Keeps expected complaints off the console; returns them. */
export function muteConsole(): unknown[][] {
  const sent: unknown[][] = [];
  console.error = (...args: unknown[]) => void sent.push(args);
  console.warn = (...args: unknown[]) => void sent.push(args);
  return sent;
}
