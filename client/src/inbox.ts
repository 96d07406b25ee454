// Delivers messages and gaps to their handlers in order and finishes each afterwards. It does not know the port;
// acks.ts counts, session.ts sends.

import type { AckToken } from "./acks.js";
import { type Clock, sleep } from "./browser-api.js";
import { LongwireError } from "./errors.js";
import { report, type Unsubscribe } from "./events.js";
import type { Received } from "./received.js";
import type { Gap } from "./wire.js";

/** Maximum number of calls of a handler that throws, per message. */
export const ATTEMPTS = 3;
const FIRST_RETRY = 100;

/** Lost messages, reported in their place. `reason` is the protocol's, or `reset`: continuity could not be proven. */
export type GapEvent = Omit<Gap, "type" | "seq" | "redelivered" | "reason"> & {
  reason: Gap["reason"] | "reset";
};

export type MessageHandler<Json = unknown> = (message: Received<Json>) => unknown;
export type GapHandler = (gap: GapEvent) => unknown;

/** Called with a message that the session's `schema` rejects. */
export type InvalidHandler = (message: Received, error: LongwireError<"invalid-message">) => unknown;

/**
 * A message or a gap that is not finished, with the token that acknowledges it. `invalid` is the reason why the schema
 * rejects the message.
 */
export type InboxItem =
  | {
      readonly token: AckToken;
      readonly message: Received;
      readonly invalid?: LongwireError<"invalid-message"> | undefined;
      readonly gap?: never;
    }
  | {
      readonly token?: AckToken;
      readonly gap: GapEvent;
      readonly message?: never;
      readonly invalid?: never;
    };

/** A handler, for one kind of items: messages that `wants` accepts, gaps, or messages that the schema rejects. */
export type InboxHandler =
  | {
      readonly kind: "message";
      readonly call: MessageHandler;
      readonly wants?: ((message: Received) => boolean) | undefined;
    }
  | { readonly kind: "gap"; readonly call: GapHandler }
  | { readonly kind: "invalid"; readonly call: InvalidHandler };

type Kind = InboxHandler["kind"];

interface Failure {
  readonly handler: InboxHandler;
  readonly error: unknown;
}

type Work = Promise<Failure | undefined> | undefined;

/** The unfinished messages of one session. Its size is bounded by the window. */
export class Inbox {
  readonly #clock: Clock;
  readonly #manual: boolean;
  readonly #attempts: number;
  readonly #failed: (error: LongwireError, message: Received) => void;
  #queue: InboxItem[] = [];
  /** Replaced, never changed, so that iterations over it are not affected. */
  #handlers: readonly InboxHandler[] = [];
  #reading = false;
  /** The item that handlers or a loop's body are working on. */
  #current: InboxItem | undefined;
  /** The current item failed too often and waits for `done()`. */
  #stuck = false;
  #paused = false;
  #end: { readonly error?: LongwireError } | undefined;
  /** Wakes the loop. */
  #look: (() => void) | undefined;
  #idle: (() => void)[] = [];

  /** In manual mode only `done()` finishes a message, and no handler delays the next one. */
  constructor(
    clock: Clock,
    ack: "auto" | "manual",
    attempts: number,
    failed: (error: LongwireError, message: Received) => void,
  ) {
    this.#clock = clock;
    this.#manual = ack === "manual";
    this.#attempts = attempts;
    this.#failed = failed;
  }

  /** Whether no item waits or is being processed. */
  get quiet(): boolean {
    return !this.#queue[0] && !this.#current;
  }

  /** Takes a message or a gap. */
  push(item: InboxItem): void {
    this.#queue.push(item);
    this.#wake();
  }

  /** The application called `done()` on a message. */
  done(message: Received): void {
    if (this.#queue[0]?.message === message) this.#queue.shift();
    if (this.#stuck && this.#current?.message === message) {
      this.#settle(this.#current);
      this.#run();
    }
  }

  /** Adds a handler. */
  on(handler: InboxHandler): Unsubscribe {
    if (handler.kind === "message") this.#mustBeFree(this.#reading);
    this.#handlers = [...this.#handlers, handler];
    // Not at once: the code that adds a message handler may be about to add one for gaps.
    queueMicrotask(() => this.#wake());
    return () => {
      this.#handlers = this.#handlers.filter((other) => other !== handler);
    };
  }

  /** Reads messages one by one. A message is finished when the next one is asked for. */
  async *read(): AsyncGenerator<Received, void, undefined> {
    this.#mustBeFree(this.#reading || this.#listens("message"));
    this.#reading = true;
    try {
      for (;;) {
        const item = await this.#next();
        if (!item) return;
        this.#current = item;
        yield item.message as Received;
        this.#settle(item);
      }
    } finally {
      this.#reading = false;
      this.#putBack();
    }
  }

  /** Ends readers, with an error if there is one. With `isRedelivered`, waiting items are dropped: the broker redelivers them. */
  end(error?: LongwireError, isRedelivered = false): void {
    if (isRedelivered) this.#queue = [];
    this.#end ??= { error };
    this.#wake();
  }

  /** Messages may arrive again after `end`. */
  revive(): void {
    this.#end = undefined;
  }

  /** Delivers nothing more; resolves when the handlers at work have settled. */
  async pause(): Promise<void> {
    this.#paused = true;
    if (this.#current && !this.#stuck) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #mustBeFree(isTaken: boolean): void {
    if (isTaken) throw new TypeError("longwire: this session already has a message handler or a loop");
  }

  #listens(kind: Kind): boolean {
    return this.#handlers.some((handler) => handler.kind === kind);
  }

  #wake(): void {
    this.#look?.();
    if (!this.#reading) this.#run();
  }

  /** All handlers have finished the item. */
  #settle(item: InboxItem): void {
    if (!(this.#manual && item.message)) item.token?.finish();
    this.#current = undefined;
    this.#stuck = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  // ---- read by a loop ----

  async #next(): Promise<InboxItem | undefined> {
    for (;;) {
      const item = this.#paused ? undefined : this.#queue.shift();
      if (item?.message && !item.invalid) return item;
      if (item?.invalid && !this.#listens("invalid")) {
        this.#queue.unshift(item);
        throw item.invalid;
      }
      if (item) {
        await this.#offer(item);
        this.#settle(item);
      } else if (this.#end && !this.#paused) {
        if (this.#end.error) throw this.#end.error;
        return undefined;
      } else {
        await new Promise<void>((resolve) => {
          this.#look = resolve;
        });
      }
    }
  }

  /** The loop ended in its body: the message is not finished and is redelivered. */
  #putBack(): void {
    const item = this.#current;
    this.#current = undefined;
    if (!item?.message || item.token.finished || this.#manual) return;
    item.message.redelivered = true;
    this.#queue.unshift(item);
  }

  // ---- pushed to handlers, one message after the other ----

  #run(): void {
    while (!this.#current && !this.#paused) {
      const item = this.#queue[0];
      // An item without a listener waits: one may be added later.
      if (!item || !(this.#listens("message") || this.#listens(kindOf(item)))) return;
      this.#queue.shift();
      this.#current = item;
      const work = this.#offer(item);
      if (!work || (this.#manual && item.message)) {
        this.#settle(item);
      } else {
        void work.then(() => {
          if (this.#current !== item || this.#stuck) return;
          this.#settle(item);
          this.#run();
        });
      }
    }
  }

  /** Calls the handlers; undefined when all returned synchronously. Never rejects. */
  #offer(item: InboxItem): Promise<void> | undefined {
    if (item.invalid && !this.#listens("invalid")) {
      this.#stuck = this.#current === item;
      this.#failed(item.invalid, item.message);
      return new Promise(() => undefined);
    }
    if (item.gap && !this.#listens("gap")) {
      console.warn(`longwire: messages of session ${item.gap.session} were lost`, item.gap);
    }
    const kind = kindOf(item);
    const work = this.#handlers
      .filter((handler) => handler.kind === kind)
      .map((handler) => call(handler, item));
    return work.some(Boolean) ? this.#persist(item, work) : undefined;
  }

  /** Waits for the handlers, and retries those that failed, a bounded number of times. */
  async #persist(item: InboxItem, first: Work[]): Promise<void> {
    let work = first;
    for (let tries = 1; ; tries += 1) {
      const failures = (await Promise.all(work)).filter((failure) => !!failure);
      const [failure] = failures;
      if (!failure) return;
      report(failure.error);
      if (!item.message || item.token.finished) return;
      if (tries >= this.#attempts) {
        this.#stuck = this.#current === item;
        const text = `longwire: a handler failed ${tries} times on message ${item.token.seq}`;
        this.#failed(new LongwireError("handler-failed", text, { detail: failure.error }), item.message);
        return;
      }
      const cap = FIRST_RETRY * 4 ** (tries - 1);
      await sleep(this.#clock, (cap / 2) * (1 + this.#clock.random()));
      item.message.redelivered = true;
      work = failures.map(({ handler }) => call(handler, item));
    }
  }
}

function kindOf(item: InboxItem): Kind {
  if (item.gap) return "gap";
  return item.invalid ? "invalid" : "message";
}

/** What a handler returns for an item. */
function resultOf(handler: InboxHandler, { message, gap, invalid }: InboxItem): unknown {
  if (handler.kind === "gap") return gap && handler.call(gap);
  if (handler.kind === "invalid") return invalid && handler.call(message, invalid);
  return message && (handler.wants?.(message) ?? true) && handler.call(message);
}

/** Calls a handler with an item of its kind; undefined when it returned synchronously. Never rejects. */
function call(handler: InboxHandler, item: InboxItem): Work {
  const failed = (error: unknown) => ({ handler, error });
  try {
    const result = resultOf(handler, item) as PromiseLike<unknown> | undefined;
    if (typeof result?.then === "function") return Promise.resolve(result).then(() => undefined, failed);
  } catch (error) {
    return Promise.resolve(failed(error));
  }
  return undefined;
}
