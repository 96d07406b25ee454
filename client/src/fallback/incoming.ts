// The incoming side of one session: its log and the clients that read it. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type { LinkState, Open, Opened, OpenOptions } from "../wire.js";
import { Consumer } from "./consumer.js";
import type { StateFields } from "./dialer.js";
import type { Incoming } from "./link.js";
import { SessionLog } from "./log.js";

const MAX_MESSAGE = 64 * 1024 * 1024;
/** Clients that are remembered while they are away. */
const MAX_CLIENTS = 64;

/** A client's start position, as in `opened`. */
export interface Resume {
  readonly seq: number;
  readonly answer: Opened["resume"];
}

/** The incoming side of one session. */
export class IncomingLog {
  readonly epoch = `browser/${crypto.randomUUID()}`;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: SessionLog;
  readonly #consumers = new Map<string, Consumer>();
  #dropped = 0;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
    this.#log = new SessionLog(name);
  }

  get consumers(): Consumer[] {
    return [...this.#consumers.values()];
  }

  /** The attached clients. */
  get attached(): Consumer[] {
    return this.consumers.filter(({ port }) => port);
  }

  get last(): number {
    return this.#log.last;
  }

  /** Messages that were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Messages that somebody has not acknowledged. */
  get pending(): number {
    return this.#log.pending.messages;
  }

  /** Whether all attached clients have processed all records. */
  get isProcessed(): boolean {
    return this.attached.every(({ unacknowledged, cursor }) => !unacknowledged && cursor >= this.last);
  }

  consumer(client: string): Consumer | undefined {
    return this.#consumers.get(client);
  }

  /** Finds or creates a client. */
  consumerFor(client: string): Consumer {
    const consumer = this.#consumers.get(client) ?? new Consumer(client, this.#name, this.#log, this.#clock);
    this.#consumers.set(client, consumer);
    const away = this.consumers.find(({ port }) => !port);
    if (this.#consumers.size > MAX_CLIENTS && away) this.#consumers.delete(away.client);
    return consumer;
  }

  /** A client's start position. `known`: it held the session before this log existed. */
  resume(client: string, offered: Open["resume"], known: boolean): Resume {
    const { last, start } = this.#log;
    const from = (seq: number): Resume =>
      seq < start ? { seq: start, answer: "gap" } : { seq, answer: "exact" };
    const consumer = this.#consumers.get(client);
    if (offered && offered.epoch === this.epoch && offered.seq <= last) return from(offered.seq);
    if (offered || (known && !consumer)) return { seq: start, answer: "reset" };
    return consumer ? from(consumer.acked) : { seq: last, answer: "fresh" };
  }

  /** Appends a message. Returns false if the log is full and `queue.overflow` says to disconnect. */
  message(content: Incoming, size: number, { queue, maxMessage = MAX_MESSAGE }: OpenOptions): boolean {
    const now = Date.now();
    this.#log.dropAged(now, queue, this.#delivered);
    let goesOn = true;
    if (size > maxMessage) this.#log.gap("too-large", now, this.#delivered);
    else if (this.#makeRoom(size, queue))
      this.#log.append({ type: "message", time: now, ...content }, now, size);
    else {
      this.#dropped += 1;
      this.#log.gap("overflow", now, this.#delivered);
      // A browser's socket cannot be read more slowly.
      goesOn = queue?.overflow !== "pause" && queue?.overflow !== "close";
    }
    this.deliver();
    return goesOn;
  }

  #makeRoom(size: number, queue: OpenOptions["queue"]): boolean {
    while (this.#log.isFull(size, queue)) {
      const drops = (queue?.overflow ?? "drop-oldest") === "drop-oldest";
      if (!drops || !this.#log.dropOldest("overflow", this.#delivered)) return false;
      this.#dropped += 1;
    }
    return true;
  }

  state(state: LinkState, fields: StateFields): void {
    this.#log.state({ type: "state", state, ...fields }, Date.now(), this.#delivered);
    this.deliver();
  }

  /** Appends a record for one client. */
  record(type: "outcome" | "response", fields: Record<string, unknown>, client: string): void {
    this.#log.append({ type, ...fields }, Date.now(), 0, client);
    this.deliver();
  }

  deliver(): void {
    for (const consumer of this.#consumers.values()) consumer.deliver();
  }

  /** Releases what all clients have acknowledged. */
  acknowledged(): void {
    this.#log.release(Math.min(...this.consumers.map(({ acked }) => acked)));
  }

  get #delivered(): number {
    return Math.max(0, ...this.consumers.map(({ cursor }) => cursor));
  }
}
