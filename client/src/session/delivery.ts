// What a session receives, from the frame to the acknowledgement: which records are new, who handles them, and how far
// everything is finished. It does not know what was sent, nor the state of the link.

import { Acks, type AckToken } from "../acks.js";
import type { Clock } from "../browser-api.js";
import type { LongwireError } from "../errors.js";
import { ATTEMPTS, Inbox } from "../inbox.js";
import { Received, type ReceivedHost } from "../received.js";
import type { SessionOptions } from "../session-types.js";
import type { Memory, Position } from "../storage.js";
import type { Ack, Gap, Message, Opened, RecordFrame, Response } from "../wire.js";

/** What the delivery needs from its session. */
export interface DeliveryHost {
  readonly name: string;
  readonly clock: Clock;
  readonly memory: Memory;
  post(frame: Ack): void;
  /** A handler failed as often as allowed. */
  failed(error: LongwireError, message: Received): void;
  reply(message: Received, args: unknown[]): void;
}

/** Records and bytes in flight, unless the options say otherwise. */
const WINDOW = { messages: 4096, bytes: 4 * 1024 * 1024 };

/** The receiving part of one session. */
export class Delivery {
  /** The messages and gaps that are not finished, with their handlers. */
  readonly inbox: Inbox;
  readonly #host: DeliveryHost;
  readonly #received: ReceivedHost;
  #acks: Acks | undefined;
  #epoch = "";
  /** The last record that arrived. */
  #arrived = 0;
  /** The newest record there was when this worker attached: what is not above it was before. */
  #last = 0;
  #resumed: Opened["resume"] | undefined;
  #window = WINDOW;
  /** Positions are not stored. */
  readonly #transient: boolean;

  constructor(host: DeliveryHost, { ack, attempts = ATTEMPTS, transient = false }: SessionOptions) {
    this.#host = host;
    this.#transient = transient;
    const failed = (error: LongwireError, message: Received) => host.failed(error, message);
    this.inbox = new Inbox(host.clock, ack === "manual", attempts, failed);
    this.#received = {
      done: (message) => this.inbox.done(message),
      reply: (message, args) => host.reply(message, args),
    };
  }

  /** Where to resume: up to here everything is finished. */
  async position(): Promise<Position | undefined> {
    if (this.#acks) return { epoch: this.#epoch, seq: this.#acks.position };
    if (this.#transient) return undefined;
    return this.#host.memory.position(this.#host.name).catch(() => undefined);
  }

  /** Whether nothing waits for a handler or for its acknowledgement. */
  get quiet(): boolean {
    return this.inbox.quiet && !this.#acks?.busy;
  }

  /** The window in records and bytes. */
  get window(): { messages: number; bytes: number } {
    return this.#window;
  }

  set window(window: { messages: number; bytes: number }) {
    this.#window = window;
  }

  /** There is an attachment. Returns whether counting begins anew though it had begun before. */
  attached(opened: Opened, window: SessionOptions["window"]): boolean {
    const before = this.#acks;
    const goesOn = this.#epoch === opened.epoch && opened.resume !== "reset";
    this.#resumed = opened.resume;
    this.#window = { ...WINDOW, ...window };
    this.#last = opened.last;
    if (goesOn && before) {
      this.#arrived = Math.max(this.#arrived, opened.seq);
      before.reattached();
      return false;
    }
    this.#begin(opened);
    return before !== undefined && opened.resume === "reset";
  }

  #begin({ epoch, seq, resume, session }: Opened): void {
    this.#acks?.close();
    this.#epoch = epoch;
    this.#arrived = seq;
    const { memory, clock } = this.#host;
    this.#acks = new Acks(
      clock,
      {
        keep: async (finished) => {
          if (!this.#transient) await memory.keep(session, { epoch, seq: finished });
        },
        ack: (finished) => this.#host.post({ type: "ack", session, seq: finished }),
      },
      this.#window.messages,
      seq,
    );
    this.#acks.reattached();
    if (resume === "reset") {
      this.inbox.push({ gap: { session, from: 0, to: seq, count: 0, reason: "reset", exact: false } });
    }
  }

  /** Whether a record was there before this worker attached. */
  isPast({ seq }: RecordFrame): boolean {
    return seq <= this.#last;
  }

  /** Notes a record. Returns the token that acknowledges it; undefined when it has arrived before. */
  arrived({ seq }: RecordFrame): AckToken | undefined {
    if (!this.#acks || seq <= this.#arrived) return undefined;
    this.#arrived = seq;
    return this.#acks.arrived(seq);
  }

  /** Hands a message to its handlers. */
  message(frame: Message, token: AckToken): void {
    this.inbox.push({ token, message: new Received(frame, this.#epoch, this.#received, token) });
  }

  /** Hands a loss to its handlers. `before` is the last record that had arrived then. */
  gap(frame: Gap, token: AckToken, before: number): void {
    const { type: _type, seq: _seq, redelivered: _redelivered, ...gap } = frame;
    // What is still in our hands is not lost.
    const held = gap.from <= before && this.#resumed === "gap";
    this.inbox.push({ token, gap: held ? { ...gap, from: before + 1, exact: false } : gap });
  }

  /** The last record that has arrived. */
  get newest(): number {
    return this.#arrived;
  }

  /** The answer to a request as the developer sees it. */
  answer(frame: Response): Received {
    return new Received(frame, this.#epoch);
  }

  /** Acknowledges what is finished. */
  async flush(): Promise<void> {
    await this.#acks?.flush();
  }

  /** Hands out nothing more, lets the handlers end, acknowledges. */
  async drain(): Promise<void> {
    await this.inbox.pause();
    await this.flush();
  }

  /** Nothing is acknowledged any more. */
  close(): void {
    this.#acks?.close();
  }
}
