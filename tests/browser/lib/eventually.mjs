// Waits for a condition with a deadline. It never waits longer than the condition needs.

import { setTimeout as pause } from "node:timers/promises";

/** Asks `condition` until it gives something truthy, and returns that; after `within` milliseconds throws `what`. */
export async function eventually(within, what, condition) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await pause(20);
  }
}

/** Like `promise`, but rejects with `what` after `within` milliseconds. */
export async function soon(within, what, promise) {
  const over = new AbortController();
  const late = pause(within, undefined, { signal: over.signal, ref: true }).then(() => {
    throw new Error(`not within ${within} ms: ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}
