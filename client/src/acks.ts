// Counts finished records and acknowledges them: after a quarter of the window, or after 50 ms. It does not process records.

import type { Clock } from "./browser-api.js";

/** Maximum milliseconds between a finished record and its acknowledgement. */
export const ACK_DELAY = 50;

/** Acknowledges one message or gap that has been processed. */
export interface AckToken {
  readonly seq: number;
  /** Whether the record has been processed. */
  readonly finished: boolean;
  /** The record has been processed. Order does not matter; a second time is ignored. */
  finish(): void;
}

/** Callbacks of the acknowledgements. */
export interface AckHost {
  /** Stores the position. The acknowledgement is sent afterwards, so a stored position is never behind the broker's. */
  keep(seq: number): Promise<void>;
  /** Sends the acknowledgement. */
  ack(seq: number): void;
}

/** The acknowledgements of one session. */
export class Acks {
  readonly #clock: Clock;
  readonly #host: AckHost;
  readonly #quarter: number;
  #flight: AckToken[] = [];
  #position: number;
  #acknowledged: number;
  #fresh = 0;
  #timer: unknown;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(clock: Clock, host: AckHost, window: number, position: number) {
    this.#clock = clock;
    this.#host = host;
    this.#quarter = Math.max(1, Math.floor(window / 4));
    this.#position = position;
    this.#acknowledged = position;
  }

  /** The last record up to which everything is finished. */
  get position(): number {
    return this.#position;
  }

  /** Whether records are waiting to be finished. */
  get busy(): boolean {
    return this.#flight.length > 0;
  }

  /** Notes a record that has arrived. Records arrive in order of `seq`. */
  arrived(seq: number): AckToken {
    const token = {
      seq,
      finished: false,
      finish: () => {
        if (token.finished) return;
        token.finished = true;
        this.#trim();
      },
    };
    this.#flight.push(token);
    return token;
  }

  /** Moves the position over everything that is finished. */
  #trim(): void {
    const before = this.#fresh;
    while (this.#flight[0]?.finished) {
      this.#position = (this.#flight.shift() as AckToken).seq;
      this.#fresh += 1;
    }
    if (this.#fresh === before) return;
    if (this.#fresh >= this.#quarter) void this.flush();
    else this.#soon();
  }

  /** Acknowledges what is finished now. Resolves when the acknowledgement has been handed over. */
  async flush(): Promise<void> {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#fresh = 0;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  /**
   * A new attachment begins: what was acknowledged on the old one may not have arrived. Not at once: the broker
   * refuses an acknowledgement of what it has not delivered again yet.
   */
  reattached(): void {
    this.#acknowledged = -1;
    if (this.#position > 0) this.#soon();
  }

  /** Nothing is acknowledged any more. */
  close(): void {
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
  }

  #soon(): void {
    this.#timer ??= this.#clock.setTimeout(() => void this.flush(), ACK_DELAY);
  }

  async #write(): Promise<void> {
    while (!this.#closed && this.#position > this.#acknowledged) {
      const seq = this.#position;
      // A full or broken storage must not stop the stream; the broker remembers the position too.
      await this.#host.keep(seq).catch(() => undefined);
      if (this.#closed) return;
      this.#acknowledged = seq;
      this.#host.ack(seq);
    }
  }
}
