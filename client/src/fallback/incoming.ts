// The incoming side of one session: its guard, its log and the clients that read it. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type {
  Filter,
  LinkState,
  Open,
  Opened,
  OpenOptions,
  OutcomeWord,
  Response,
  SessionCounters,
  WireError,
} from "../wire.js";
import { Consumer } from "./consumer.js";
import type { StateFields } from "./dialer-host.js";
import type { FilterDecision } from "./filter.js";
import { present } from "./from-broker.js";
import { Guard } from "./guard.js";
import type { Incoming } from "./link.js";
import { type NewRecord, SessionLog, type Views } from "./log.js";
import type { OutboxHost, OutboxItem } from "./outbox.js";
import type { Readable } from "./rules.js";

const MAX_MESSAGE = 64 * 1024 * 1024;
/** Clients that are remembered while they are away. */
const MAX_CLIENTS = 64;
/** Milliseconds between reports of messages that the guard refuses. */
const REPORT_INTERVAL = 1000;

/** A client's start position, as in `opened`. */
export interface Resume {
  readonly seq: number;
  readonly answer: Opened["resume"];
}

/** What the log did with a message. */
export interface AppendResult {
  /** Its number in the log, if it was stored. */
  readonly seq?: number;
  /** The log is full, and `queue.overflow` says to disconnect. */
  readonly isFull?: boolean;
}

/** The incoming side of one session. */
export class IncomingLog implements OutboxHost {
  readonly epoch = `browser/${crypto.randomUUID()}`;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: SessionLog;
  readonly #guard: Guard;
  readonly #consumers = new Map<string, Consumer>();
  readonly #filtered = { dropped: 0, conflated: 0, sampled: 0, held: 0, projected: 0, refused: 0 };
  #dropped = 0;
  #reportFrom = 0;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
    this.#log = new SessionLog(name);
    this.#guard = new Guard(clock);
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

  /** Messages that filters and the guard withheld; undefined while there are none. */
  get filtered(): SessionCounters["filtered"] {
    return Object.values(this.#filtered).some(Boolean) ? { ...this.#filtered } : undefined;
  }

  /** Messages that a client has not acknowledged. */
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
    const from = (seq: number): Resume => {
      const isCut = [...this.#log.after(seq)].some(({ frame }) => frame.type === "gap");
      return seq < start ? { seq: start, answer: "gap" } : { seq, answer: isCut ? "gap" : "exact" };
    };
    const consumer = this.#consumers.get(client);
    if (offered && offered.epoch === this.epoch && offered.seq <= last) return from(offered.seq);
    if (offered || (known && !consumer)) return { seq: start, answer: "reset" };
    return consumer ? from(consumer.acked) : { seq: last, answer: "fresh" };
  }

  // ---- filters and guard ----

  /** Sets the filter of a client's subscription. Returns false if it has too many lines. */
  setFilter(client: string, key: string, lines: Filter[]): boolean {
    const consumer = this.consumerFor(client);
    // Messages that other lines held are released.
    consumer.release();
    return consumer.filter.set(key, lines);
  }

  /** Removes the filters of a subscription, of all clients. */
  deleteFilter(key: string): void {
    for (const consumer of this.#consumers.values()) if (consumer.filter.delete(key)) consumer.release();
  }

  /** The options have changed: resets the rates of the guard. */
  resetGuard(): void {
    this.#guard.reset();
  }

  /** Delivers the messages that filters hold. */
  releaseHeld(): void {
    for (const consumer of this.#consumers.values()) consumer.release();
    this.deliver();
  }

  #passesGuard(read: Readable, guard: OpenOptions["guard"]): boolean {
    const error = this.#guard.check(guard?.receive, read);
    if (!error) return true;
    this.#filtered.refused += 1;
    const now = this.#clock.now();
    if (now < this.#reportFrom) return false;
    this.#reportFrom = now + REPORT_INTERVAL;
    const report: WireError = { code: "server-protocol", message: error.message, retry: "no" };
    for (const { port } of this.attached) port?.post({ type: "error", ...report, session: this.#name });
    return false;
  }

  /** The decisions of all filters about a message; undefined if no client needs it. */
  #judge(read: Readable): Map<Consumer, FilterDecision> | undefined {
    const decisions = new Map<Consumer, FilterDecision>();
    let isWanted = false;
    let hasFilters = false;
    for (const consumer of this.#consumers.values()) {
      if (consumer.filter.isEmpty) {
        isWanted = true;
        continue;
      }
      hasFilters = true;
      const decision = consumer.filter.judge(read, this.#clock.now());
      isWanted ||= decision.view !== "not";
      if (decision.counts) this.#filtered[decision.counts] += 1;
      decisions.set(consumer, decision);
    }
    for (const [consumer, { replaces }] of decisions) {
      if (replaces !== undefined && replaces > consumer.cursor) this.#withdraw(replaces, consumer);
    }
    return isWanted || !hasFilters ? decisions : undefined;
  }

  #withdraw(seq: number, { client }: Consumer): void {
    const isWanted = (entry: Parameters<Consumer["isFor"]>[0]) =>
      this.consumers.some((other) => other.isFor(entry) && other.acked < seq);
    if (this.#log.withdraw(seq, client, isWanted)) this.#filtered.conflated += 1;
  }

  // ---- records ----

  /** Appends a message, unless the guard refuses it or no client needs it. */
  message(
    content: Incoming,
    read: Readable,
    { queue, guard, maxMessage = MAX_MESSAGE }: OpenOptions,
  ): AppendResult {
    const now = Date.now();
    if (read.size > maxMessage) {
      this.#log.gap("too-large", now, this.#delivered);
      this.deliver();
      return {};
    }
    const decisions = this.#passesGuard(read, guard) ? this.#judge(read) : undefined;
    if (!decisions) return {};
    this.#log.dropAged(now, queue, this.#delivered);
    const result = this.#makeRoom(read.size, queue)
      ? { seq: this.#append(content, read.size, now, decisions) }
      : this.#lose(now, queue);
    this.deliver();
    return result;
  }

  #append(content: Incoming, size: number, now: number, decisions: Map<Consumer, FilterDecision>): number {
    const views: Views = new Map();
    for (const [{ client }, { view }] of decisions) if (view) views.set(client, view);
    const record = { type: "message", time: now, ...content } as NewRecord;
    const seq = this.#log.append(record, now, size, undefined, views.size > 0 ? views : undefined);
    for (const { numbered } of decisions.values()) numbered?.(seq);
    for (const consumer of this.#consumers.values()) {
      const view = views.get(consumer.client);
      if (view !== "held" && view !== "not") consumer.release();
    }
    return seq;
  }

  #lose(now: number, queue: OpenOptions["queue"]): AppendResult {
    this.#dropped += 1;
    this.#log.gap("overflow", now, this.#delivered);
    // A browser's socket cannot be read more slowly.
    return { isFull: queue?.overflow === "pause" || queue?.overflow === "close" };
  }

  #makeRoom(size: number, queue: OpenOptions["queue"]): boolean {
    if (this.#log.isFull(size, queue)) this.acknowledged();
    while (this.#log.isFull(size, queue)) {
      const drops = (queue?.overflow ?? "drop-oldest") === "drop-oldest";
      if (!drops || !this.#log.dropOldest("overflow", this.#delivered)) return false;
      this.#dropped += 1;
    }
    return true;
  }

  /** Appends a change of the link, or of a namespace on it. */
  state(state: LinkState, fields: StateFields): void {
    this.#log.state(present({ type: "state" as const, state, ...fields }), Date.now(), this.#delivered);
    this.releaseHeld();
  }

  /** Appends a record for one client. */
  #record(record: NewRecord, client: string): void {
    this.#log.append(present(record), Date.now(), 0, client);
    this.#consumers.get(client)?.release();
    this.deliver();
  }

  /** The outcome of a message, if its client wants to know. */
  outcome({ client, frame }: OutboxItem, outcome: OutcomeWord, error?: WireError): void {
    const isGood = outcome === "sent" || outcome === "confirmed";
    if (frame.id === undefined || (isGood && !frame.receipt)) return;
    this.#record({ type: "outcome", id: frame.id, outcome, error }, client);
  }

  /** The answer to a request. */
  response({ client, frame: { id = "" } }: OutboxItem, answer: Partial<Response>): void {
    this.#record({ type: "response", id, ...answer }, client);
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
