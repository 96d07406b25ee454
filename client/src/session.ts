// The public class of a persistent connection. The implementation is in session/core.ts.

import { LongwireError } from "./errors.js";
import type { Unsubscribe } from "./events.js";
import type { GapHandler, InboxHandler, MessageHandler } from "./inbox.js";
import { isBlob, type Sendable, toPayload } from "./payload.js";
import type { Received } from "./received.js";
import type { SessionHost } from "./session/context.js";
import { SessionCore } from "./session/core.js";
import type {
  AuthHandler,
  RequestOptions,
  SendOptions,
  SendOutcome,
  SessionEvents,
  SessionOptions,
  StateEvent,
  SubscribeSpec,
} from "./session-types.js";
import type { Credentials, EventPayload, LinkState, Opened } from "./wire.js";

/** A persistent connection. Get one with `bridge.open`. */
export class Session<Incoming = unknown, Sent extends Sendable = Sendable>
  implements AsyncIterable<Received<Incoming>>
{
  /** Its name, unique in this extension and profile. */
  readonly name: string;
  /** @internal For the rest of the SDK. */
  readonly core: SessionCore;

  /** @internal */
  constructor(host: SessionHost, name: string, url?: string, options?: SessionOptions) {
    this.name = name;
    this.core = new SessionCore(host, name, url, options);
  }

  // ---- what is known ----

  /** The state of the link: `opening` before the broker has answered, `detached` after this worker has detached. */
  get state(): LinkState | "opening" | "detached" {
    return this.core.uplink.state;
  }

  /** The last change of the link, with its details. */
  get link(): StateEvent | undefined {
    return this.core.uplink.link;
  }

  /** The broker's last `opened` for this worker: how it resumed, unknown options, and more. */
  get opened(): Opened | undefined {
    return this.core.opened;
  }

  /** Bytes passed to `send` that the broker has not received yet. */
  get bufferedAmount(): number {
    return this.core.outgoing.bytes;
  }

  // ---- in ----

  /**
   * Adds a callback; returns a function that removes it. A `message` or `gap` callback may return a promise: the next
   * message waits for it, and the message is acknowledged when it is fulfilled.
   */
  on<Name extends keyof SessionEvents>(
    name: Name,
    call: (...args: SessionEvents<Incoming>[Name]) => unknown,
  ): Unsubscribe {
    return name === "message" || name === "gap" || name === "invalid"
      ? this.core.delivery.on({ kind: name, call } as InboxHandler)
      : this.core.callbacks.on(name as "state", call as (state: StateEvent) => unknown);
  }

  /** Adds a callback for messages with this event name (Socket.IO, SSE). A name may have several. */
  onEvent(event: string, call: MessageHandler<Incoming>): Unsubscribe {
    return this.core.delivery.on({
      kind: "message",
      call: call as MessageHandler,
      wants: (message) => message.event === event,
    });
  }

  /** Adds a callback for lost messages. Without one, the SDK logs a warning to the console. */
  onGap(call: GapHandler): Unsubscribe {
    return this.on("gap", call);
  }

  /**
   * Adds a callback for changes of the link. Without one, the SDK logs a warning to the console when the connection
   * fails.
   */
  onState(call: (state: StateEvent) => unknown): Unsubscribe {
    return this.on("state", call);
  }

  /** Sets the credentials provider; requires `auth: "provider"`. A second call replaces the first. */
  onAuth(call: AuthHandler): Unsubscribe {
    return this.core.uplink.onAuth(call);
  }

  /**
   * Iterates over messages. A message is acknowledged when the next one is requested; the current one at `break` is
   * redelivered.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Received<Incoming>, void, undefined> {
    return this.core.delivery.read() as AsyncGenerator<Received<Incoming>, void, undefined>;
  }

  // ---- out ----

  /**
   * Sends a message, and resolves with its outcome. Rejects when the broker refuses it. The bytes of a Blob are read
   * first; messages sent later wait for them.
   */
  send(data: Sent | Blob, options: SendOptions = {}): Promise<SendOutcome> {
    return this.core.outgoing.send(isBlob(data) ? data : toPayload(data), options);
  }

  /** Sends a Socket.IO event. */
  emit(
    event: string,
    args: unknown[] = [],
    options: SendOptions & { namespace?: string } = {},
  ): Promise<SendOutcome> {
    const { namespace, ...rest } = options;
    return this.core.outgoing.send({ event, args, namespace }, rest);
  }

  /**
   * Sends a request, and resolves with the answer. Rejects with `timeout`, `link-lost`, `not-sent` and similar
   * codes.
   */
  async request(data: Sent | EventPayload, options: RequestOptions): Promise<Received<Incoming>> {
    const answer = this.core.answer(await this.core.outgoing.request(data, options));
    if (answer instanceof LongwireError) throw answer;
    return answer as Received<Incoming>;
  }

  /**
   * Subscribes: the broker sends `spec.send` on every connection. Calls the callback, if any, for the messages of the
   * key. Returns a function that unsubscribes. Several subscribers of one key share the subscription; it ends with
   * the last one.
   */
  subscribe(key: string, spec: SubscribeSpec = {}, call?: MessageHandler<Incoming>): Unsubscribe {
    const { match = ({ tags }) => tags.includes(key) || !tags[0] } = spec;
    const removes = [
      call && this.core.delivery.on({ kind: "message", call: call as MessageHandler, wants: match }),
      this.core.outgoing.subscribe(key, spec),
    ];
    return () => {
      for (const remove of removes.splice(0)) remove?.();
    };
  }

  /** Provides new credentials without a request; the broker redials with them. */
  authorize(credentials: Credentials): Promise<void> {
    return this.core.ask({ type: "authorize", ...credentials });
  }

  /** Changes the in-flight window; 0 pauses the stream. */
  window(messages: number, bytes: number): Promise<void> {
    return this.core.window(messages, bytes);
  }

  /** Reconnects now: drops the link if there is one, clears the backoff and a `failed` state. */
  reconnect(): Promise<void> {
    return this.core.ask({ type: "reconnect" });
  }

  /** Detaches. The session stays in the broker; opening it again continues from here. */
  detach(): Promise<void> {
    return this.core.part({ type: "detach" });
  }

  /**
   * Ends the session for all its clients. The broker first writes messages sent before, for at most `closeTimeout`.
   * Resolves when the server has answered or after that timeout. Unwritten messages fail.
   */
  close(code?: number, reason?: string): Promise<void> {
    return this.core.part({ type: "close", code, reason });
  }
}
