// Counts the attempts to connect of one session, and how often the server refused its credentials. It dials nothing.

import type { Clock } from "../browser-api.js";
import type { OpenOptions } from "../wire.js";
import { backoff } from "./close-action.js";

const STABLE_AFTER = 30_000;
/** Milliseconds that a connection must have been open to prove that its credentials were valid. */
const PROVEN_AFTER = 10_000;

/** The attempts of one session. */
export class Attempts {
  readonly #clock: Clock;
  #failed = 0;
  #refused = 0;
  #openedAt: number | undefined;
  #stableTimer: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Attempts that failed since the last stable connection. */
  get failed(): number {
    return this.#failed;
  }

  /** Times that the server refused the credentials, since a connection has proved them. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether there was a connection. */
  get wasOpen(): boolean {
    return this.#openedAt !== undefined;
  }

  /** Counts from the beginning. */
  reset(): void {
    this.#failed = 0;
    this.#refused = 0;
  }

  /** A connection is open. */
  opened(reconnect: OpenOptions["reconnect"]): void {
    this.#openedAt = this.#clock.now();
    const { stableAfter = STABLE_AFTER } = reconnect || {};
    this.#stableTimer = this.#clock.setTimeout(() => {
      this.#failed = 0;
    }, stableAfter);
  }

  /** The open connection has ended. */
  closed(): void {
    if (this.#clock.now() - (this.#openedAt ?? 0) >= PROVEN_AFTER) this.#refused = 0;
  }

  /** The connection does not become stable any more. */
  stop(): void {
    this.#clock.clearTimeout(this.#stableTimer);
  }

  /** The server refuses the credentials. */
  refuse(): void {
    this.#refused += 1;
  }

  /** An attempt failed. Returns milliseconds until the next one; undefined if there is none. */
  fail(reconnect: OpenOptions["reconnect"]): number | undefined {
    this.#failed += 1;
    const { maxAttempts } = reconnect || {};
    if (this.wasOpen && this.#failed > (maxAttempts ?? Number.POSITIVE_INFINITY)) return undefined;
    return backoff(reconnect, this.#failed, this.#clock.random());
  }
}
