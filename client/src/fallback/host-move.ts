// The move of one session to the native host, once that is available. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type { Open } from "../wire.js";
import type { Handover } from "./from-broker.js";
import type { IncomingLog } from "./incoming.js";
import type { Outbox } from "./outbox.js";

/** What the move needs from its session. */
export interface HostMoveHost {
  readonly incoming: IncomingLog;
  readonly outbox: Outbox;
  /** Whether the session may move now. */
  mayMove(): boolean;
  target(): Pick<Open, "url" | "options">;
  /** The session has moved. */
  moved(): void;
}

/** Milliseconds that clients have to process their messages before a session moves to the host. */
const MOVE_TIMEOUT = 10_000;

/** The move of one session. */
export class HostMove {
  readonly #session: string;
  readonly #clock: Clock;
  readonly #host: HostMoveHost;
  #deadline: number | undefined;
  #timer: unknown;
  #isStopped = false;

  constructor(session: string, clock: Clock, host: HostMoveHost) {
    this.#session = session;
    this.#clock = clock;
    this.#host = host;
  }

  /** Starts to move to the host, if there is one. Returns whether the session moves. */
  start(): boolean {
    if (!this.#host.mayMove()) return false;
    this.#deadline ??= this.#clock.now() + MOVE_TIMEOUT;
    this.#timer ??= this.#clock.setTimeout(() => this.proceed(), MOVE_TIMEOUT);
    this.#host.incoming.releaseHeld();
    // After the caller has returned.
    queueMicrotask(() => this.proceed());
    return true;
  }

  /** Moves, if that was started and all clients have processed their messages, or after the timeout. */
  proceed(): void {
    if (this.#isStopped || this.#deadline === undefined) return;
    const { incoming, outbox } = this.#host;
    const { attached: consumers, isProcessed } = incoming;
    if (consumers.length === 0 || !(isProcessed || this.#clock.now() >= this.#deadline)) return;
    const items = outbox.handOver();
    const here = new Set(consumers.map(({ client }) => client));
    const handovers = consumers.map(({ client, port }, at) => {
      // Messages of clients that are not attached go with the first.
      const own = items.filter((item) => item.client === client || (at === 0 && !here.has(item.client)));
      const frames = own.map((item) => outbox.remaining(item));
      const target = this.#host.target();
      const frame: Handover = { type: "moved", session: this.#session, frames, target };
      return { port, frame };
    });
    this.#host.moved();
    for (const { port, frame } of handovers) port?.post(frame);
  }

  /** The session is over. */
  stop(): void {
    this.#isStopped = true;
    this.#clock.clearTimeout(this.#timer);
  }
}
