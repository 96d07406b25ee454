// A session in a page. It processes messages as the worker's sessions do, with the same inbox, and reports finished messages;
// the worker acknowledges them. Messages to send have an id, so that a restarted worker does not send them twice.

import type { AckToken } from "../acks.js";
import type { Clock } from "../browser-api.js";
import { type AnyLongwireError, LongwireError } from "../errors.js";
import { Callbacks, report, type Unsubscribe } from "../events.js";
import { ATTEMPTS, type GapEvent, Inbox, type InboxHandler } from "../inbox.js";
import { type Sendable, toPayload } from "../payload.js";
import { Received, type ReceivedFields, type ReceivedHost } from "../received.js";
import type { FromPage, PlainState, ToPage } from "../relay/messages.js";
import type {
  EndReason,
  RequestOptions,
  SendOptions,
  SendOutcome,
  SessionOptions,
  StateEvent,
} from "../session-types.js";
import type { EventPayload, LinkState, Payload } from "../wire.js";
import { fromPlain } from "./errors.js";

/** Options of `open` in a content script. */
export interface PageOpenOptions {
  /** Where this page begins, as in `bridge.open` of the worker. Default: new messages only. */
  from?: SessionOptions["from"];
  /** Maximum number of calls of a handler that throws, per message. Default 3. */
  attempts?: number;
}

/** The events of a session in a page. */
export interface PageSessionEvents<Incoming = unknown> {
  message: [message: Received<Incoming>];
  gap: [gap: GapEvent];
  state: [state: StateEvent];
  /** The backlog has been replayed; the messages that follow are new. */
  live: [];
  /** A failure that no promise reports. `message` is set if its handler failed. */
  error: [error: AnyLongwireError, message?: Received];
  /** This page is no longer attached to the session. */
  detached: [reason: EndReason, error: LongwireError];
}

/** What a session needs from its page. @internal */
export interface PageSessionHost {
  readonly clock: Clock;
  /** Posts a message to the worker, if there is one. */
  post(message: FromPage): void;
  /** The session is over for this page. */
  left(): void;
}

type PageRequest = Extract<FromPage, { type: "send" | "request" }>;
type CallbackEvents = Omit<PageSessionEvents, "message" | "gap">;

/** A message or request without an answer of the worker. */
interface PendingPageRequest {
  readonly request: PageRequest;
  resolve(answer: SendOutcome | Received): void;
  reject(error: LongwireError): void;
}

/** A message or gap that this page has, by the number that the worker gave it. */
class PageToken implements AckToken {
  readonly seq: number;
  finished = false;
  /** The worker's number; another worker gives another one. */
  n: number;
  readonly #done: (token: PageToken) => void;

  constructor(seq: number, n: number, done: (token: PageToken) => void) {
    this.seq = seq;
    this.n = n;
    this.#done = done;
  }

  finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.#done(this);
  }
}

/** A session of the worker in this page. Get one with `open`. */
export class PageSession<Incoming = unknown, Sent extends Sendable = Sendable>
  implements AsyncIterable<Received<Incoming>>
{
  /** Its name. */
  readonly name: string;
  readonly #host: PageSessionHost;
  readonly #options: PageOpenOptions;
  readonly #inbox: Inbox;
  readonly #callbacks = new Callbacks<CallbackEvents>();
  readonly #received: ReceivedHost;
  readonly #pending = new Map<string, PendingPageRequest>();
  readonly #tokens = new Map<string, PageToken>();
  #waiting: { resolve(session: PageSession<Incoming, Sent>): void; reject(error: LongwireError): void }[] =
    [];
  #link: StateEvent | undefined;
  #opened = false;
  #epoch = "";
  /** The newest message of this epoch that has arrived: earlier ones have been received. */
  #arrived = 0;
  #over: LongwireError | undefined;

  /** @internal */
  constructor(name: string, options: PageOpenOptions, host: PageSessionHost) {
    this.name = name;
    this.#options = options;
    this.#host = host;
    this.#inbox = new Inbox(host.clock, "auto", options.attempts ?? ATTEMPTS, (error, message) =>
      this.#failed(error, message),
    );
    this.#received = {
      done: (message) => this.#inbox.done(message),
      reply: ({ epoch, seq }, args) => {
        const token = this.#tokens.get(`${epoch}/${seq}`);
        if (token) host.post({ type: "reply", n: token.n, args });
      },
    };
  }

  /** The state of the link: `opening` before the worker has answered, `detached` after this page has detached. */
  get state(): LinkState | "opening" | "detached" {
    return this.#over ? "detached" : (this.#link?.state ?? "opening");
  }

  /** The last change of the link, with its details. */
  get link(): StateEvent | undefined {
    return this.#link;
  }

  /**
   * Adds a callback; returns a function that removes it. A `message` or `gap` callback may return a promise: the next
   * message waits for it, and the message is acknowledged when it is fulfilled.
   */
  on<Name extends keyof PageSessionEvents>(
    name: Name,
    call: (...args: PageSessionEvents<Incoming>[Name]) => unknown,
  ): Unsubscribe {
    if (name === "message" || name === "gap") return this.#inbox.on({ kind: name, call } as InboxHandler);
    return this.#callbacks.on(name as "state", call as (state: StateEvent) => unknown);
  }

  /** Iterates over messages. A message is acknowledged when the next one is requested. */
  [Symbol.asyncIterator](): AsyncGenerator<Received<Incoming>, void, undefined> {
    return this.#inbox.read() as AsyncGenerator<Received<Incoming>, void, undefined>;
  }

  /** Sends a message, and resolves with its outcome. Rejects when the worker or the broker refuses it. */
  send(data: Sent, options: SendOptions = {}): Promise<SendOutcome> {
    return this.#ask("send", toPayload(data), options) as Promise<SendOutcome>;
  }

  /** Sends a Socket.IO event. */
  emit(
    event: string,
    args: unknown[] = [],
    options: SendOptions & { namespace?: string } = {},
  ): Promise<SendOutcome> {
    const { namespace, ...rest } = options;
    return this.#ask(
      "send",
      { event, args, ...(namespace === undefined ? {} : { namespace }) },
      rest,
    ) as Promise<SendOutcome>;
  }

  /** Sends a request, and resolves with the answer. */
  request(data: Sent | EventPayload, options: RequestOptions): Promise<Received<Incoming>> {
    const isEvent = typeof data === "object" && data !== null && "event" in data && "args" in data;
    const body = isEvent ? (data as EventPayload) : toPayload(data as Sendable);
    return this.#ask("request", body, options) as Promise<Received<Incoming>>;
  }

  /** Detaches. The session continues in the worker and in other pages. */
  detach(): void {
    this.#host.post({ type: "detach", session: this.name });
    this.end(
      "left",
      new LongwireError("session-closed", `longwire: this page has detached from session ${this.name}`),
    );
  }

  // ---- for the bridge ----

  /** @internal Resolves when the worker has opened it. */
  whenOpen(): Promise<PageSession<Incoming, Sent>> {
    if (this.#over) return Promise.reject(this.#over);
    if (this.#opened) return Promise.resolve(this);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** @internal Whether a call waits that is rejected when it ends. */
  get waiting(): boolean {
    return this.#waiting.length > 0 || this.#pending.size > 0;
  }

  /** @internal Messages and gaps here that are not finished. */
  get held(): number {
    return this.#tokens.size;
  }

  /** @internal There is a worker: opens the session there, and posts pending requests again. */
  attach(): void {
    const { from } = this.#options;
    this.#host.post({ type: "open", session: this.name, ...(from && !this.#opened ? { from } : {}) });
    for (const { request } of this.#pending.values()) this.#host.post(request);
  }

  /** @internal The worker has stopped. Messages that it delivered are finished here all the same. */
  lost(): void {
    for (const token of this.#tokens.values()) token.n = 0;
  }

  /** @internal It is over for this page. */
  end(reason: EndReason, error: LongwireError): void {
    if (this.#over) return;
    this.#over = error;
    this.#host.left();
    const over = reason === "closed" || reason === "expired";
    this.#inbox.end(over || reason === "left" ? undefined : error, !over);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#callbacks.emit("detached", reason, error);
  }

  /** @internal Handles a message of the worker about this session. */
  take(message: Exclude<ToPage, { type: "ready" | "refused" | "error" }>): void {
    switch (message.type) {
      case "opened":
        this.#attached(message.epoch, message.state);
        break;
      case "message":
        this.#message(message.message, message.epoch, message.n);
        break;
      case "gap":
        this.#gap(message.gap, message.n);
        break;
      case "state":
        this.#changed(message.state);
        break;
      case "live":
        this.#callbacks.emit("live");
        break;
      case "outcome": {
        const error = message.error && { error: fromPlain(message.error) };
        this.#settled(message.id)?.resolve({ ...message.outcome, ...error });
        break;
      }
      case "response":
        this.#settled(message.id)?.resolve(new Received(message.message, message.epoch));
        break;
      case "failed":
        this.#refused(fromPlain(message.error), message.id);
        break;
      case "detached":
        this.end(message.reason, fromPlain(message.error));
        break;
    }
  }

  #attached(epoch: string, state: PlainState): void {
    const before = this.#epoch;
    this.#begin(epoch);
    this.#opened = true;
    this.#link = toStateEvent(state);
    if (before && before !== epoch) this.#reset();
    for (const { resolve } of this.#waiting.splice(0)) resolve(this);
  }

  /** Sequence numbers start again in every epoch. */
  #begin(epoch: string): void {
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#arrived = 0;
  }

  /** Another broker has started, and the worker that would report that has stopped. */
  #reset(): void {
    const gap: GapEvent = { session: this.name, from: 0, to: 0, count: 0, reason: "reset", exact: false };
    this.#inbox.push({ gap });
  }

  #message(frame: ReceivedFields, epoch: string, n: number): void {
    // For an attachment that this page has left.
    if (!this.#opened) return;
    this.#begin(epoch);
    const key = `${epoch}/${frame.seq}`;
    if (frame.seq > this.#arrived) {
      this.#arrived = frame.seq;
      const token = this.#token(key, frame.seq, n);
      this.#inbox.push({ token, message: new Received(frame, epoch, this.#received, token) });
      return;
    }
    // The worker stopped before it could acknowledge. Here the message is being processed, or finished.
    const token = this.#tokens.get(key);
    if (token) token.n = n;
    else this.#host.post({ type: "done", n });
  }

  #gap(gap: GapEvent, n: number): void {
    if (!this.#opened) return;
    const key = `gap/${gap.from}-${gap.to}/${gap.reason}`;
    const known = this.#tokens.get(key);
    if (known) known.n = n;
    else this.#inbox.push({ gap, token: this.#token(key, gap.to, n) });
  }

  #token(key: string, seq: number, n: number): PageToken {
    const token = new PageToken(seq, n, (finished) => {
      this.#tokens.delete(key);
      if (finished.n) this.#host.post({ type: "done", n: finished.n });
    });
    this.#tokens.set(key, token);
    return token;
  }

  #changed(plain: PlainState): void {
    const state = toStateEvent(plain);
    if (state.namespace === undefined && !state.past) this.#link = state;
    this.#callbacks.emit("state", state);
  }

  #refused(error: LongwireError, id: string | undefined): void {
    if (id === undefined) this.end("refused", error);
    else this.#settled(id)?.reject(error);
  }

  #failed(error: LongwireError, message?: Received): void {
    if (this.#callbacks.emit("error", error as AnyLongwireError, message) === 0) report(error);
  }

  #settled(id: string): PendingPageRequest | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #ask(
    type: PageRequest["type"],
    body: Payload | EventPayload,
    { signal, id = crypto.randomUUID(), ...options }: SendOptions,
  ): Promise<SendOutcome | Received> {
    if (this.#over) return Promise.reject(this.#over);
    const request = { type, session: this.name, id, body, options } as PageRequest;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { request, resolve, reject });
      this.#host.post(request);
      const cancel = () => this.#host.post({ type: "cancel", id });
      if (signal?.aborted) cancel();
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }
}

function toStateEvent({ error, ...state }: PlainState): StateEvent {
  return error ? { ...state, error: fromPlain(error) } : state;
}
