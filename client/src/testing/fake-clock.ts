// A clock that only advances when a test calls it.

import type { Clock } from "../browser-api.js";

interface Timer {
  at: number;
  call: () => void;
}

// Taken when the module loads: test runners replace the timers later, and some environments have no `setImmediate`.
const { setImmediate: immediate, setTimeout: timeout } = globalThis as {
  setImmediate?: (call: () => void) => unknown;
  setTimeout: (call: () => void, milliseconds: number) => unknown;
};
const nextTurn = immediate ?? ((call: () => void) => timeout(call, 0));

/** Lets everything that is ready happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise<void>((resolve) => void nextTurn(resolve));
}

export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers = new Set<Timer>();
  /** The value that `random` returns. */
  chance = 0.5;

  now = (): number => this.#now;
  random = (): number => this.chance;
  setTimeout = (call: () => void, milliseconds: number): unknown => {
    const timer = { at: this.#now + milliseconds, call };
    this.#timers.add(timer);
    return timer;
  };
  clearTimeout = (timer: unknown): void => {
    this.#timers.delete(timer as Timer);
  };

  /** Delays until each timer, shortest first. */
  get due(): number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Time passes; timers fire in order. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await settle();
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.call();
    }
    this.#now = end;
    await settle();
  }
}
