// Keeps what a session has said until the broker takes responsibility, and says it again on a new attachment with
// the same id. It does not build frames, nor read the ones that come.

import type { Clock } from "./browser-api.js";
import { LongwireError } from "./errors.js";
import type { Cancel, ToBroker } from "./wire.js";

/** Frames that carry an id and are answered. */
export type Asked = Extract<ToBroker, { id?: string; session: string }> & { id: string };

/** A frame on its way to the broker. */
export interface Pending {
  readonly frame: Asked;
  /** Size of the payload, roughly, in bytes. */
  readonly bytes: number;
  /** When it was said, by the clock. */
  readonly since: number;
  /** The broker has taken responsibility. */
  accepted: boolean;
  /** It has left on the present attachment. */
  posted: boolean;
  /** Its content is not there yet. It keeps its place. */
  unread: boolean;
  /** What withdraws it, once that is wanted. */
  cancel?: Cancel;
  /** The broker takes responsibility. */
  taken?: (() => void) | undefined;
  /** It ends without having been sent: its time was over, or it was withdrawn. */
  withdrawn(outcome: "expired" | "cancelled"): void;
  settle(answer: unknown): void;
  fail(error: LongwireError): void;
}

/** Entries and bytes that may wait here for a port. More is refused with `outbox-full`. */
export const BOUND = { entries: 65536, bytes: 64 * 1024 * 1024 };
/** Entries and bytes that may be on their way to the broker without its word. */
export const FLIGHT = { entries: 512, bytes: 4 * 1024 * 1024 };

/** The unsettled frames of one session, in the order they were said. */
export class PendingQueue {
  readonly #clock: Clock;
  readonly #post: (frame: Asked | Cancel) => void;
  readonly #entries = new Map<string, Pending>();
  #waiting: Pending[] = [];
  #attached = false;
  #bytes = 0;
  #flight = { entries: 0, bytes: 0 };

  constructor(clock: Clock, post: (frame: Asked | Cancel) => void) {
    this.#clock = clock;
    this.#post = post;
  }

  /** Bytes that the broker has not taken yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether everything said has been settled. */
  get quiet(): boolean {
    return this.#entries.size === 0;
  }

  /** Whether the broker has taken responsibility for everything. */
  get handedOver(): boolean {
    return !this.where(false)[0];
  }

  /** The entries that the broker has accepted, or those that it has not. */
  where(accepted: boolean): Pending[] {
    return [...this.#entries.values()].filter((entry) => entry.accepted === accepted);
  }

  /** The content of an entry is there. */
  read(entry: Pending): void {
    entry.unread = false;
    this.#pump();
  }

  /** Says something now, or as soon as there is an attachment. */
  add(entry: Pending): void {
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

  /** The entry of an id, if it is not settled. */
  find(id: string): Pending | undefined {
    return this.#entries.get(id);
  }

  /** The broker has taken responsibility; it will not be said again. */
  accepted(entry: Pending): void {
    this.#taken(entry);
    this.#pump();
  }

  /** Forgets an entry that has been answered. */
  settled(entry: Pending): void {
    this.#remove(entry);
    this.#pump();
  }

  /** Withdraws what has not left; asks the broker to withdraw what has. */
  cancel(entry: Pending): void {
    const { id, session } = entry.frame;
    if (this.#entries.get(id) !== entry) return;
    if (entry.posted || entry.accepted) {
      entry.cancel = { type: "cancel", session, id };
      if (this.#attached) this.#post(entry.cancel);
    } else {
      this.#remove(entry);
      entry.withdrawn("cancelled");
    }
  }

  /** There is an attachment: everything not taken is said again, in order. */
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

  /** The attachment is gone. */
  lost(): void {
    this.#attached = false;
  }

  #remove(entry: Pending): void {
    if (!entry.posted) this.#waiting = this.#waiting.filter((other) => other !== entry);
    this.#taken(entry);
    this.#entries.delete(entry.frame.id);
  }

  #taken(entry: Pending): void {
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
      const next = this.#waiting[0] as Pending;
      if (next.unread) return;
      if (entries >= FLIGHT.entries || (entries > 0 && bytes + next.bytes > FLIGHT.bytes)) return;
      this.#waiting.shift();
      const frame = this.#withRestOfTtl(next);
      if (!frame) {
        this.#remove(next);
        next.withdrawn("expired");
        continue;
      }
      next.posted = true;
      this.#flight.entries += 1;
      this.#flight.bytes += next.bytes;
      this.#post(frame);
    }
  }

  /** The frame with the time it has already waited taken off; undefined when its time is over. */
  #withRestOfTtl(entry: Pending): Asked | undefined {
    const { frame } = entry;
    // What is no number the broker refuses, and says so.
    if (frame.type !== "send" || typeof frame.ttl !== "number") return frame;
    const ttl = frame.ttl - (this.#clock.now() - entry.since);
    return ttl > 0 ? { ...frame, ttl } : undefined;
  }
}
