// Counts the attempts to connect of one session. It dials nothing.

import type { Clock } from "../browser-api.js";
import type { OpenOptions } from "../wire.js";
import { backoff, spread } from "./close-action.js";
import type { LinkEnd } from "./link.js";

const STABLE_AFTER = 30_000;

/** The attempts of one session. */
export class Attempts {
  readonly #clock: Clock;
  #failed = 0;
  #wasOpen = false;
  #stableTimer: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Attempts that failed since the last stable connection. */
  get failed(): number {
    return this.#failed;
  }

  /** Whether there was a connection. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** Counts from the beginning. */
  reset(): void {
    this.#failed = 0;
  }

  /** A connection is open. */
  opened(reconnect: OpenOptions["reconnect"]): void {
    this.#wasOpen = true;
    const { stableAfter = STABLE_AFTER } = reconnect || {};
    this.#stableTimer = this.#clock.setTimeout(() => {
      this.#failed = 0;
    }, stableAfter);
  }

  /** The connection does not become stable any more. */
  stop(): void {
    this.#clock.clearTimeout(this.#stableTimer);
  }

  /**
   * An attempt failed, or a connection ended. Returns milliseconds until the next one, in addition to those that the server
   * asks for; undefined if there is none.
   */
  fail(reconnect: OpenOptions["reconnect"], end: LinkEnd, leastDelay = 0): number | undefined {
    const { maxAttempts } = reconnect || {};
    if (this.#failed >= (maxAttempts ?? Number.POSITIVE_INFINITY)) return undefined;
    this.#failed += 1;
    const least = Math.max(end.retryAfter ?? 0, leastDelay) + spread(end, this.#clock.random());
    return Math.max(1, least + backoff(reconnect, this.#failed, this.#clock.random()));
  }
}
