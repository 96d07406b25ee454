// The messages and requests of one session until their outcome or answer. It does not send.

import type { Clock } from "../browser-api.js";
import type { Accepted, OpenOptions, OutcomeWord, Request, Response, Send, WireError } from "../wire.js";
import { linkError, type SentAs } from "./link.js";
import { isAnswer, type MessageContent, Readable, sizeOf } from "./rules.js";

/** A message or a request of a client. */
export interface OutboxItem {
  readonly client: string;
  readonly frame: Send | Request;
  readonly content: MessageContent;
  readonly size: number;
  /** It expires at this time if no connection was made. */
  readonly until: number;
  readonly read: Readable;
  timer: unknown;
  isWritten: boolean;
  /** An earlier connection was lost after it was written. */
  mayHaveGone: boolean;
  /** It was sent, and waits for its answer or confirmation. */
  isSent: boolean;
}

/** Callbacks of the outbox. */
export interface OutboxHost {
  outcome(item: OutboxItem, outcome: OutcomeWord, error?: WireError): void;
  response(item: OutboxItem, answer: Partial<Response> & { error?: WireError }): void;
}

const OUTBOX = { messages: 1000, bytes: 8 * 1024 * 1024, ttl: 3_600_000 };
const REQUEST_TIMEOUT = 30_000;
/** Outcomes that are remembered, so that no id is sent twice. */
const REMEMBERED = 4096;
const DEFAULT_LANE = 1;
const LATE = linkError("timeout", "too late");
const CANCELLED = linkError("cancelled", "cancelled", "no");
const CLOSED = linkError("not-sent", "the session was closed", "now");

/** The unsettled messages of one session. */
export class Outbox {
  readonly #clock: Clock;
  readonly #host: OutboxHost;
  #waiting: OutboxItem[] = [];
  readonly #written = new Set<OutboxItem>();
  readonly #ends = new Map<string, OutcomeWord | "">();
  #bytes = 0;
  options: OpenOptions["outbox"];

  constructor(clock: Clock, options: OpenOptions["outbox"], host: OutboxHost) {
    this.#clock = clock;
    this.#host = host;
    this.options = options;
  }

  /** Messages that were not written yet. */
  get waiting(): readonly OutboxItem[] {
    return this.#waiting;
  }

  /** Whether all messages were sent. */
  get isSettled(): boolean {
    return this.#waiting.length === 0 && [...this.#written].every(({ isSent }) => isSent);
  }

  /** The ids of a client without an outcome. */
  openIds(client: string): { id: string; state: string }[] {
    return [...this.#waiting, ...this.#written]
      .filter((item) => item.client === client && item.frame.id !== undefined)
      .map(({ frame, isWritten }) => ({ id: frame.id as string, state: isWritten ? "written" : "waiting" }));
  }

  /** The fields of `accepted` for a repeated id; undefined for a new one. */
  known(client: string, id: string): Partial<Accepted> | undefined {
    const end = this.#ends.get(key(client, id));
    if (end === undefined) return undefined;
    return { duplicate: true, ...(end === "" ? {} : { outcome: end }) };
  }

  /** Whether a message of this size does not fit. */
  isFull(size: number): boolean {
    const { messages, bytes } = { ...OUTBOX, ...this.options };
    return this.#waiting.length + 1 > messages || this.#bytes + size > bytes;
  }

  /** Adds a message. */
  add(client: string, frame: Send | Request): OutboxItem {
    const content = contentOf(frame);
    const ttl = frame.ttl ?? this.options?.ttl ?? OUTBOX.ttl;
    const timeout = frame.type === "request" ? (frame.timeout ?? REQUEST_TIMEOUT) : ttl;
    const item: OutboxItem = {
      client,
      frame,
      content,
      size: sizeOf(content),
      until: this.#clock.now() + Math.min(ttl, timeout),
      read: new Readable(content),
      timer: undefined,
      isWritten: false,
      mayHaveGone: false,
      isSent: false,
    };
    item.timer = this.#clock.setTimeout(() => this.#late(item), timeout);
    if (frame.id !== undefined) this.#remember(client, frame.id, "");
    const lane = frame.lane ?? DEFAULT_LANE;
    const at = this.#waiting.findIndex((other) => (other.frame.lane ?? DEFAULT_LANE) > lane);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, item);
    this.#bytes += item.size;
    return item;
  }

  /** Removes the next message to write, and marks it as written. */
  next(): OutboxItem | undefined {
    const item = this.#waiting.shift();
    if (!item) return undefined;
    this.#bytes -= item.size;
    item.isWritten = true;
    this.#written.add(item);
    return item;
  }

  /** The connection reports the result of a message. */
  sent(item: OutboxItem, how: SentAs): void {
    if (!this.#written.has(item)) return;
    if (typeof how === "object") {
      if ("end" in how) this.#back(item);
      else if ("failed" in how) this.#failed(item, how.failed);
      else this.#acknowledged(item, how.answer);
    } else if (item.frame.type === "request" || (item.frame.confirm && how === "sent")) item.isSent = true;
    else this.#end(item, how);
  }

  /** A message of the server answers or confirms the oldest that it fits. Returns whether it is used up. */
  onMessage(message: Readable, answer: MessageContent): boolean {
    for (const item of this.#written) {
      const { frame, read } = item;
      const match = frame.type === "request" ? frame.match : frame.confirm;
      if (!match || !isAnswer(match, read, message)) continue;
      this.#acknowledged(item, answer);
      return frame.type === "request";
    }
    return false;
  }

  /** The connection was lost: the outcome of written messages is unknown. */
  lost(): void {
    for (const item of [...this.#written]) {
      if (item.frame.type === "request") {
        const error = linkError("link-lost", "the connection was lost");
        this.#answer(item, { error });
      } else if (item.frame.ifLost === "resend") {
        item.mayHaveGone = true;
        this.#back(item);
      } else this.#end(item, item.isSent ? "sent" : "unknown");
    }
  }

  /** Ends a volatile message that could not be sent at once. */
  drop(item: OutboxItem): void {
    this.#end(item, "dropped");
  }

  /** Withdraws. Returns whether the id is known. */
  cancel(client: string, id: string): boolean {
    const item = [...this.#waiting, ...this.#written].find(
      (one) => one.client === client && one.frame.id === id,
    );
    if (item?.frame.type === "request") {
      this.#answer(item, { error: CANCELLED });
    } else if (item) this.#end(item, "cancelled", CANCELLED);
    return item !== undefined || this.#ends.has(key(client, id));
  }

  /** The session ends. */
  close(): void {
    for (const item of [...this.#waiting, ...this.#written]) {
      const { frame, isWritten, isSent } = item;
      if (frame.type === "request") this.#answer(item, { error: CLOSED });
      else if (isSent) this.#end(item, "sent");
      else if (isWritten) this.#end(item, "unknown");
      else this.#unsent(item, "cancelled", CLOSED);
    }
  }

  /** Removes all messages that were not written, for another broker to send. */
  handOver(): OutboxItem[] {
    const items = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const { timer } of items) this.#clock.clearTimeout(timer);
    return items;
  }

  /** The frame of such a message, with its remaining time. */
  remaining({ frame, until }: OutboxItem): Send | Request {
    const left = Math.max(1, until - this.#clock.now());
    return frame.type === "request" ? { ...frame, timeout: left } : { ...frame, ttl: left };
  }

  #acknowledged(item: OutboxItem, answer: MessageContent): void {
    if (item.frame.type === "request") this.#answer(item, answer as Partial<Response>);
    else this.#end(item, "confirmed");
  }

  #failed(item: OutboxItem, error: WireError): void {
    if (item.frame.type === "request") this.#answer(item, { error });
    else this.#unsent(item, "failed", error);
  }

  /** It was not sent on this connection; on an earlier one it may have been. */
  #unsent(item: OutboxItem, outcome: OutcomeWord, error?: WireError): void {
    if (item.mayHaveGone) this.#end(item, "unknown");
    else this.#end(item, outcome, error);
  }

  /** The message was refused, and waits in front of its lane again. */
  #back(item: OutboxItem): void {
    this.#written.delete(item);
    item.isWritten = false;
    item.isSent = false;
    const at = this.#waiting.findIndex(
      ({ frame }) => (frame.lane ?? DEFAULT_LANE) >= (item.frame.lane ?? DEFAULT_LANE),
    );
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, item);
    this.#bytes += item.size;
  }

  #late(item: OutboxItem): void {
    const { frame, isWritten, isSent } = item;
    if (frame.type === "request") {
      this.#answer(item, { error: LATE });
    } else if (!isWritten) this.#unsent(item, "expired", LATE);
    else if (isSent) this.#end(item, "sent");
  }

  #answer(item: OutboxItem, answer: Partial<Response>): void {
    this.#forget(item);
    this.#host.response(item, answer);
  }

  #end(item: OutboxItem, outcome: OutcomeWord, error?: WireError): void {
    this.#forget(item);
    if (item.frame.id !== undefined) this.#remember(item.client, item.frame.id, outcome);
    this.#host.outcome(item, outcome, error);
  }

  #forget(item: OutboxItem): void {
    this.#clock.clearTimeout(item.timer);
    if (!this.#written.delete(item)) {
      this.#waiting = this.#waiting.filter((other) => other !== item);
      this.#bytes -= item.size;
    }
  }

  #remember(client: string, id: string, end: OutcomeWord | ""): void {
    this.#ends.set(key(client, id), end);
    if (this.#ends.size <= REMEMBERED) return;
    for (const [old, known] of this.#ends) {
      if (known === "") continue;
      this.#ends.delete(old);
      return;
    }
  }
}

function key(client: string, id: string): string {
  return `${client}\n${id}`;
}

/** The content of a client's message. */
export function contentOf(frame: MessageContent): MessageContent {
  const { text, base64, json, event, args, namespace } = frame;
  if (event !== undefined) return { event, args: args ?? [], ...(namespace ? { namespace } : {}) };
  if (text !== undefined) return { text };
  return base64 === undefined ? { json } : { base64 };
}
