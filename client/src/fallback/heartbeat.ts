// An application's own beats on one connection. A browser's WebSocket has no pings for scripts, so without a `message` there
// are none.

import type { Clock } from "../browser-api.js";
import type { EventPayload, OpenOptions, Payload } from "../wire.js";
import { matches, type Readable } from "./rules.js";

const INTERVAL = 20_000;
const TIMEOUT = 10_000;

/** The beats of one connection. */
export class Heartbeat {
  readonly #options: Exclude<OpenOptions["heartbeat"], false | undefined>;
  readonly #clock: Clock;
  readonly #send: (payload: Payload) => void;
  readonly #late: () => void;
  #beat: unknown;
  #deadline: unknown;

  /** `late` is called when the server was silent for too long. */
  constructor(
    options: OpenOptions["heartbeat"],
    clock: Clock,
    send: (payload: Payload) => void,
    late: () => void,
  ) {
    this.#options = options || {};
    this.#clock = clock;
    this.#send = send;
    this.#late = late;
    this.#rest();
  }

  /** Something came. Returns whether it was a beat, which is not delivered. */
  onMessage(message: Readable): boolean {
    const { expect, always, answers = [] } = this.#options;
    const answer = answers.find(({ when }) => matches(when, message));
    if (answer?.send) this.#write(answer.send);
    const waits = this.#deadline !== undefined;
    const isExpected = waits && !!expect && matches(expect, message);
    if (isExpected || (waits && !expect)) {
      this.#clock.clearTimeout(this.#deadline);
      this.#deadline = undefined;
    }
    if (!always && this.#deadline === undefined) this.#rest();
    return isExpected || answer !== undefined;
  }

  stop(): void {
    this.#clock.clearTimeout(this.#beat);
    this.#clock.clearTimeout(this.#deadline);
  }

  #rest(): void {
    if (!this.#options.message) return;
    this.#clock.clearTimeout(this.#beat);
    this.#beat = this.#clock.setTimeout(() => this.#ask(), this.#options.interval ?? INTERVAL);
  }

  #ask(): void {
    if (this.#options.message) this.#write(this.#options.message);
    this.#deadline ??= this.#clock.setTimeout(this.#late, this.#options.timeout ?? TIMEOUT);
    if (this.#options.always) this.#rest();
  }

  #write(payload: Payload | EventPayload): void {
    // Events are of Socket.IO, which is refused.
    this.#send(payload as Payload);
  }
}
