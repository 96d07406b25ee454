// What the clients of one session have handed over, until it has its outcome or answer. It writes nothing itself.

import type { Clock } from "../browser-api.js";
import { utf8Length } from "../payload.js";
import type {
  Accepted,
  OpenOptions,
  OutcomeWord,
  Payload,
  Request,
  Response,
  Send,
  WireError,
} from "../wire.js";
import { linkError, type SentAs } from "./link.js";
import { isAnswer, type Readable, readable } from "./rules.js";

/** A message or a request of a client. */
export interface Item {
  readonly client: string;
  readonly frame: Send | Request;
  readonly payload: Payload;
  readonly size: number;
  /** It may wait for a connection until then. */
  readonly until: number;
  readonly read: Readable;
  timer: unknown;
  isWritten: boolean;
  /** It was written, and the connection has it; what would confirm it has not come. */
  isSent: boolean;
}

/** What the outbox tells its session. */
export interface OutboxHost {
  outcome(item: Item, outcome: OutcomeWord, error?: WireError): void;
  response(item: Item, answer: Partial<Response> & { error?: WireError }): void;
}

const OUTBOX = { messages: 1000, bytes: 8 * 1024 * 1024, ttl: 3_600_000 };
const REQUEST_TIMEOUT = 30_000;
/** Ends that are remembered, so that an id is not sent twice. */
const REMEMBERED = 4096;
const DEFAULT_LANE = 1;

/** The unsettled messages of one session. */
export class Outbox {
  readonly #clock: Clock;
  readonly #host: OutboxHost;
  #waiting: Item[] = [];
  readonly #written = new Set<Item>();
  readonly #ends = new Map<string, OutcomeWord | "">();
  #bytes = 0;
  options: OpenOptions["outbox"];

  constructor(clock: Clock, options: OpenOptions["outbox"], host: OutboxHost) {
    this.#clock = clock;
    this.#host = host;
    this.options = options;
  }

  /** Messages that are not written. */
  get waiting(): readonly Item[] {
    return this.#waiting;
  }

  /** Whether everything is written and has its end, but for what waits for an answer. */
  get isSettled(): boolean {
    return this.#waiting.length === 0 && [...this.#written].every(({ isSent }) => isSent);
  }

  /** The ids of a client that have no end. */
  openIds(client: string): { id: string; state: string }[] {
    return [...this.#waiting, ...this.#written]
      .filter((item) => item.client === client && item.frame.id !== undefined)
      .map(({ frame, isWritten }) => ({ id: frame.id as string, state: isWritten ? "written" : "waiting" }));
  }

  /** What is known of an id that comes again; undefined when it is new. */
  known(client: string, id: string): Partial<Accepted> | undefined {
    const end = this.#ends.get(key(client, id));
    if (end === undefined) return undefined;
    return { duplicate: true, ...(end === "" ? {} : { outcome: end }) };
  }

  /** Whether another message of this size is too much. */
  isFull(size: number): boolean {
    const { messages, bytes } = { ...OUTBOX, ...this.options };
    return this.#waiting.length + 1 > messages || this.#bytes + size > bytes;
  }

  /** Takes a message over. */
  add(client: string, frame: Send | Request): Item {
    const payload = contentOf(frame);
    const ttl = frame.ttl ?? this.options?.ttl ?? OUTBOX.ttl;
    const timeout = frame.type === "request" ? (frame.timeout ?? REQUEST_TIMEOUT) : ttl;
    const item: Item = {
      client,
      frame,
      payload,
      size: sizeOf(payload),
      until: this.#clock.now() + Math.min(ttl, timeout),
      read: readable(payload),
      timer: undefined,
      isWritten: false,
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

  /** The next message to write, which counts as written from now on. */
  next(): Item | undefined {
    const item = this.#waiting.shift();
    if (!item) return undefined;
    this.#bytes -= item.size;
    item.isWritten = true;
    this.#written.add(item);
    return item;
  }

  /** The connection has taken a message, or has not. */
  sent(item: Item, how: SentAs): void {
    if (!this.#written.has(item)) return;
    if (typeof how === "object") this.#back(item);
    else if (item.frame.type === "request" || (item.frame.confirm && how === "sent")) item.isSent = true;
    else this.#end(item, how);
  }

  /** A message of the server. Returns whether a request has used it up. */
  heard(message: Readable, answer: Partial<Response>): boolean {
    for (const item of this.#written) {
      const { frame, read } = item;
      if (frame.type === "request") {
        if (!isAnswer(frame.match, read, message)) continue;
        this.#forget(item);
        this.#host.response(item, answer);
        return true;
      }
      if (frame.confirm && isAnswer(frame.confirm, read, message)) this.#end(item, "confirmed");
    }
    return false;
  }

  /** The connection was lost: nobody can say what became of what was written. */
  lost(): void {
    for (const item of [...this.#written]) {
      if (item.frame.type === "request") {
        const error = linkError("link-lost", "the connection was lost before the answer");
        this.#answer(item, { error });
      } else if (item.frame.ifLost === "resend") this.#back(item);
      else this.#end(item, item.isSent ? "sent" : "unknown");
    }
  }

  /** A message that is not to wait. */
  drop(item: Item): void {
    this.#end(item, "dropped");
  }

  /** Withdraws. Returns whether the id is known. */
  cancel(client: string, id: string): boolean {
    const item = [...this.#waiting, ...this.#written].find(
      (one) => one.client === client && one.frame.id === id,
    );
    if (item?.frame.type === "request") {
      this.#answer(item, { error: linkError("cancelled", "cancelled", "no") });
    } else if (item) this.#end(item, "cancelled");
    return item !== undefined || this.#ends.has(key(client, id));
  }

  /** The session ends. */
  close(): void {
    for (const item of [...this.#waiting, ...this.#written]) {
      const { frame, isWritten, isSent } = item;
      if (frame.type === "request")
        this.#answer(item, { error: linkError("not-sent", "the session was closed", "no") });
      else this.#end(item, isSent ? "sent" : isWritten ? "unknown" : "cancelled");
    }
  }

  /** Gives everything away that is not written, as it is to be said to another broker. */
  handOver(): Item[] {
    const items = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const { timer } of items) this.#clock.clearTimeout(timer);
    return items;
  }

  /** What a message that is handed over has left of its time. */
  rest({ frame, until }: Item): Send | Request {
    const left = Math.max(1, until - this.#clock.now());
    return frame.type === "request" ? { ...frame, timeout: left } : { ...frame, ttl: left };
  }

  /** It was not taken, and waits before everything else. */
  #back(item: Item): void {
    this.#written.delete(item);
    item.isWritten = false;
    item.isSent = false;
    const at = this.#waiting.findIndex(
      ({ frame }) => (frame.lane ?? DEFAULT_LANE) >= (item.frame.lane ?? DEFAULT_LANE),
    );
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, item);
    this.#bytes += item.size;
  }

  #late(item: Item): void {
    const { frame, isWritten, isSent } = item;
    if (frame.type === "request") {
      this.#answer(item, { error: linkError("timeout", "no answer in time") });
    } else if (!isWritten) this.#end(item, "expired");
    else if (isSent) this.#end(item, "sent");
  }

  #answer(item: Item, answer: Partial<Response>): void {
    this.#forget(item);
    this.#host.response(item, answer);
  }

  #end(item: Item, outcome: OutcomeWord): void {
    this.#forget(item);
    if (item.frame.id !== undefined) this.#remember(item.client, item.frame.id, outcome);
    this.#host.outcome(item, outcome);
  }

  #forget(item: Item): void {
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

function contentOf(frame: Send | Request): Payload {
  const { text, base64, json } = frame as { text?: string; base64?: string; json?: unknown };
  if (text !== undefined) return { text };
  return base64 === undefined ? { json } : { base64 };
}

/** The bytes of a payload. */
export function sizeOf({ text, json, base64 }: Partial<Payload>): number {
  if (base64 !== undefined) return (base64.length * 3) / 4;
  return utf8Length(text ?? JSON.stringify(json) ?? "");
}
