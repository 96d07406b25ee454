// Keeps the frames of a session until the broker accepts them, and sends them again with the same id on a new attachment.
// It does not build frames, nor read the ones that arrive.

import type { Clock } from "./browser-api.js";
import { LongwireError } from "./errors.js";
import type {
  Cancel,
  Ok,
  Outcome,
  OutcomeWord,
  Payload,
  Ping,
  Pong,
  Response,
  Status,
  StatusAnswer,
  ToBroker,
} from "./wire.js";

/** A frame with an id, which the broker answers. */
export type RequestFrame = (Extract<ToBroker, { id?: string; session: string }> | Status | Ping) & {
  id: string;
};

/** The outcome of a message, as the broker reports it. */
export interface SendResult {
  id: string;
  outcome: OutcomeWord | "accepted";
  error?: Outcome["error"];
}

/** The broker's answers, by the type of their frame. */
export interface Answers {
  ok: Ok;
  outcome: SendResult;
  response: Response;
  status: StatusAnswer;
  pong: Pong;
}

/** A frame until its answer, whatever that is. */
export interface PendingFrame {
  readonly frame: RequestFrame;
  /** The type of its answer. */
  readonly awaits: keyof Answers;
  /** Size of the payload, roughly, in bytes. */
  readonly bytes: number;
  /** When it was added, by the clock. */
  readonly since: number;
  /** The broker has accepted it. */
  accepted?: boolean;
  /** It was posted on the present attachment. */
  posted?: boolean;
  /** Its content is still being read. Later entries wait for it. */
  unread: boolean;
  /** The frame that cancels it, if it was cancelled. */
  cancel?: Cancel;
  /** Called when the broker accepts it. */
  readonly onAccepted?: (() => void) | undefined;
  /** It ends without having been sent: its time was over, or it was cancelled. */
  readonly withdraw: (outcome: "expired" | "cancelled") => void;
  readonly fail: (error: LongwireError) => void;
}

/** A frame until its answer, which is of the type `Type`. */
export interface Pending<Type extends keyof Answers> extends PendingFrame {
  readonly awaits: Type;
  readonly settle: (answer: Answers[Type]) => void;
}

/** Maximum entries and bytes that wait for a port. More is refused with `outbox-full`. */
export const BOUND = { entries: 65536, bytes: 64 * 1024 * 1024 };
/** Entries and bytes that may be posted and not accepted. */
export const FLIGHT = { entries: 512, bytes: 4 * 1024 * 1024 };

/** The unsettled frames of one session, or of a bridge, in the order they were added. */
export abstract class PendingQueue {
  protected readonly clock: Clock;
  readonly #post: (frame: RequestFrame | Cancel) => void;
  readonly #entries = new Map<string, PendingFrame>();
  #waiting: PendingFrame[] = [];
  #attached = false;
  #bytes = 0;
  #flight = { entries: 0, bytes: 0 };

  constructor(clock: Clock, post: (frame: RequestFrame | Cancel) => void) {
    this.clock = clock;
    this.#post = post;
  }

  /** Bytes that the broker has not accepted yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether everything is settled. */
  get quiet(): boolean {
    return this.#entries.size === 0;
  }

  /** Whether the broker has accepted everything. */
  get handedOver(): boolean {
    return !this.unaccepted[0];
  }

  /** The entries that the broker has accepted and not answered yet. */
  protected get unanswered(): PendingFrame[] {
    return [...this.#entries.values()].filter((entry) => entry.accepted);
  }

  /** The entries that the broker has not accepted. */
  protected get unaccepted(): PendingFrame[] {
    return [...this.#entries.values()].filter((entry) => !entry.accepted);
  }

  /** The content of an entry has been read. */
  protected read(entry: PendingFrame, payload: Payload): void {
    Object.assign(entry.frame, payload);
    entry.unread = false;
    this.#pump();
  }

  /** Posts the entry now, or as soon as there is an attachment. */
  protected add(entry: PendingFrame): void {
    const isTooMuch = this.#bytes > 0 && this.#bytes + entry.bytes > BOUND.bytes;
    if (isTooMuch || this.#waiting.length >= BOUND.entries) {
      const text = "longwire: the outbox is full";
      entry.fail(new LongwireError("outbox-full", text, { retry: "later" }));
      return;
    }
    this.#entries.set(entry.frame.id, entry);
    this.#waiting.push(entry);
    this.#bytes += entry.bytes;
    this.#pump();
  }

  /** Whether the entry of an id is not settled. */
  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** The entry of an id, if it is not settled. */
  protected find(id: string): PendingFrame | undefined {
    return this.#entries.get(id);
  }

  /** The broker has accepted it; it will not be posted again. */
  protected accept(entry: PendingFrame): void {
    this.#handedOver(entry);
    this.#pump();
  }

  /** Forgets an entry that has been answered. */
  protected forget(entry: PendingFrame): void {
    this.#remove(entry);
    this.#pump();
  }

  /** Removes an entry that was not posted; asks the broker to cancel one that was. */
  protected cancel(entry: PendingFrame): void {
    const { frame } = entry;
    if (this.#entries.get(frame.id) !== entry) return;
    if ("session" in frame && (entry.posted || entry.accepted)) {
      entry.cancel = { type: "cancel", session: frame.session, id: frame.id };
      if (this.#attached) this.#post(entry.cancel);
    } else {
      this.#remove(entry);
      entry.withdraw("cancelled");
    }
  }

  /** There is an attachment: everything not accepted is posted again, in order. */
  attached(): void {
    this.#attached = true;
    this.#flight = { entries: 0, bytes: 0 };
    this.#waiting = [];
    for (const entry of this.#entries.values()) {
      entry.posted = false;
      if (entry.cancel) this.#post(entry.cancel);
      else if (!entry.accepted) this.#waiting.push(entry);
    }
    this.#pump();
  }

  /** The attachment is lost. */
  lost(): void {
    this.#attached = false;
  }

  #remove(entry: PendingFrame): void {
    if (!entry.posted) this.#waiting = this.#waiting.filter((other) => other !== entry);
    this.#handedOver(entry);
    this.#entries.delete(entry.frame.id);
  }

  #handedOver(entry: PendingFrame): void {
    if (entry.accepted) return;
    entry.accepted = true;
    this.#bytes -= entry.bytes;
    if (entry.posted) {
      this.#flight.entries -= 1;
      this.#flight.bytes -= entry.bytes;
    }
  }

  #pump(): void {
    while (this.#attached && this.#waiting.length > 0) {
      const { entries, bytes } = this.#flight;
      const next = this.#waiting[0] as PendingFrame;
      if (next.unread) return;
      if (entries >= FLIGHT.entries || (entries > 0 && bytes + next.bytes > FLIGHT.bytes)) return;
      this.#waiting.shift();
      const frame = this.#withRemainingTtl(next);
      if (!frame) {
        this.#remove(next);
        next.withdraw("expired");
        continue;
      }
      next.posted = true;
      this.#flight.entries += 1;
      this.#flight.bytes += next.bytes;
      this.#post(frame);
    }
  }

  /** The frame with `ttl` reduced by the time it has waited; undefined when its time is over. */
  #withRemainingTtl(entry: PendingFrame): RequestFrame | undefined {
    const { frame } = entry;
    // The broker refuses a `ttl` that is not a number, with an error that names it.
    if (frame.type !== "send" || typeof frame.ttl !== "number") return frame;
    const ttl = frame.ttl - (this.clock.now() - entry.since);
    return ttl > 0 ? { ...frame, ttl } : undefined;
  }
}
