// One lasting connection as the developer holds it. It routes frames between its three parts, which do not know each
// other: uplink.ts (the link to the server), outgoing.ts (what is sent) and delivery.ts (what is received).

import type { Clock } from "./browser-api.js";
import { type AnyLongwireError, fromWire, LongwireError } from "./errors.js";
import { Callbacks, report, type Unsubscribe } from "./events.js";
import type { Moved } from "./fallback-registry.js";
import type { GapHandler, InvalidHandler, MessageHandler } from "./inbox.js";
import { type Sendable, toPayload } from "./payload.js";
import type { Received } from "./received.js";
import { Delivery } from "./session/delivery.js";
import { Outgoing, type SendEnd } from "./session/outgoing.js";
import { Uplink } from "./session/uplink.js";
import type {
  AuthHandler,
  CloseReport,
  EndReason,
  RequestOptions,
  SendOptions,
  SendOutcome,
  SessionEvents,
  SessionOptions,
  StateEvent,
  SubscribeSpec,
} from "./session-types.js";
import type { Memory } from "./storage.js";
import type {
  Close,
  Credentials,
  Detach,
  Detached,
  ErrorFrame,
  EventPayload,
  LinkState,
  Open,
  Opened,
  Payload,
  RecordFrame,
  Response,
  ToBroker,
  ToExtension,
} from "./wire.js";

/** What a session needs from its bridge. @internal */
export interface SessionHost {
  /** `moz-extension://<uuid>`: what Firefox sends as `Origin`, and its hosts are not told. */
  readonly pageOrigin?: string | undefined;
  readonly clock: Clock;
  readonly memory: Memory;
  nextId(): string;
  post(frame: ToBroker): void;
  /** The port is wanted. */
  connect(): void;
  /** The session is over for this bridge. */
  left(session: Session): void;
}

/** Milliseconds, at least, after which an attachment that was refused for now is asked for again. */
const RETRY = 1000;
/** Milliseconds that the broker lets a close take, unless `closeTimeout` says otherwise. */
const CLOSE_TIMEOUT = 10_000;
/** Milliseconds beyond that after which a broker that does not tell of the end is not waited for. */
const CLOSE_GRACE = 5000;

/** The events of a session, and `link`: a change of the link for those who are part of the SDK. */
type Events = Omit<SessionEvents, "message" | "gap" | "invalid"> & { link: [state: StateEvent] };

/** A persistent connection. Get one with `bridge.open`. */
export class Session<Incoming = unknown, Said extends Sendable = Sendable>
  implements AsyncIterable<Received<Incoming>>
{
  /** Its name, unique in this extension and profile. */
  readonly name: string;
  readonly #host: SessionHost;
  readonly #uplink: Uplink;
  readonly #outgoing: Outgoing;
  readonly #delivery: Delivery;
  readonly #callbacks = new Callbacks<Events>();
  #url: string | undefined;
  #options: SessionOptions;
  #opened: Opened | undefined;
  /** Why this worker does not hold it any more. */
  #over: LongwireError | undefined;
  /** Another broker has taken over: what the one before had accepted is settled when replay is over. */
  #orphaned = false;
  /** The window has been full for a while. */
  #stalled = false;
  /** The attachment that is asked for, or was. */
  #openId = "";
  #opening: { resolve(session: Session<Incoming, Said>): void; reject(error: LongwireError): void }[] = [];
  #parting: Promise<void> | undefined;
  /** The end of the session: wanted, or under way in the broker, which then says when it is over. */
  #closing: "asked" | "begun" | undefined;
  #ended: (() => void) | undefined;

  /** @internal */
  constructor(host: SessionHost, name: string, url: string | undefined, options: SessionOptions) {
    this.#host = host;
    this.name = name;
    this.#url = url;
    this.#options = options;
    const session = this;
    const { clock, memory } = host;
    const post = (frame: ToBroker) => host.post(frame);
    const failed = (error: LongwireError, message?: Received) => this.#failed(error, message);
    this.#delivery = new Delivery(
      {
        name,
        clock,
        memory,
        post,
        failed,
        reply: ({ seq }, args) => post({ type: "reply", session: name, seq, args }),
      },
      options,
    );
    this.#outgoing = new Outgoing({
      name,
      clock,
      post,
      failed,
      nextId: () => host.nextId(),
      asked: () => {
        this.#widen();
        host.connect();
      },
    });
    this.#uplink = new Uplink({
      name,
      post,
      get url() {
        return session.#url;
      },
      listens: () => this.#callbacks.has("state"),
      changed: (event) => this.#linkChanged(event),
    });
  }

  // ---- what is known ----

  /** The state of the link: `opening` before the broker has answered, `detached` after this worker has detached. */
  get state(): LinkState | "opening" | "detached" {
    return this.#uplink.state;
  }

  /** The last change of the link, with its details. */
  get link(): StateEvent | undefined {
    return this.#uplink.link;
  }

  /** The broker's last `opened` for this worker: how it resumed, unknown options, and more. */
  get opened(): Opened | undefined {
    return this.#opened;
  }

  /** Bytes passed to `send` that the broker has not received yet. */
  get bufferedAmount(): number {
    return this.#outgoing.bytes;
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
    const { inbox } = this.#delivery;
    if (name === "message") return inbox.onMessage(call as MessageHandler);
    if (name === "gap") return inbox.onGap(call as GapHandler);
    if (name === "invalid") return inbox.onInvalid(call as InvalidHandler);
    return this.#callbacks.on(name as "state", call as (state: StateEvent) => unknown);
  }

  /** Adds a callback for messages with this event name (Socket.IO, SSE). A name may have several. */
  onEvent(event: string, call: MessageHandler<Incoming>): Unsubscribe {
    return this.#delivery.inbox.onMessage(call, (message) => message.event === event);
  }

  /** Adds a callback for lost messages. Without one, the SDK logs a warning to the console. */
  onGap(call: GapHandler): Unsubscribe {
    return this.#delivery.inbox.onGap(call);
  }

  /**
   * Adds a callback for changes of the link. Without one, the SDK logs a warning to the console when the connection
   * fails.
   */
  onState(call: (state: StateEvent) => unknown): Unsubscribe {
    return this.#callbacks.on("state", call);
  }

  /** @internal As `onState`, and failures are warned of all the same. */
  onLink(call: (state: StateEvent) => unknown): Unsubscribe {
    return this.#callbacks.on("link", call);
  }

  /** Sets the credentials provider; requires `auth: "provider"`. A second call replaces the first. */
  onAuth(call: AuthHandler): Unsubscribe {
    return this.#uplink.onAuth(call);
  }

  /**
   * Iterates over messages. A message is acknowledged when the next one is requested; the current one at `break` is
   * redelivered.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Received<Incoming>, void, undefined> {
    return this.#delivery.inbox.read() as AsyncGenerator<Received<Incoming>, void, undefined>;
  }

  // ---- out ----

  /** Sends a message, and resolves with its outcome. Rejects when the broker refuses it. */
  send(data: Said, options: SendOptions = {}): Promise<SendOutcome> {
    return this.#send(toPayload(data), options);
  }

  /** Sends a Socket.IO event. */
  emit(
    event: string,
    args: unknown[] = [],
    options: SendOptions & { namespace?: string } = {},
  ): Promise<SendOutcome> {
    const { namespace, ...rest } = options;
    return this.#send({ event, args, namespace }, rest);
  }

  /**
   * Sends a request, and resolves with the answer. Rejects with `timeout`, `link-lost`, `not-sent` and similar
   * codes.
   */
  async request(data: Said | EventPayload, options: RequestOptions): Promise<Received<Incoming>> {
    const answer = this.#answer(await this.#outgoing.request(data, options));
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
      call && this.#delivery.inbox.onMessage(call, match),
      this.#outgoing.subscribe(key, spec),
    ];
    return () => {
      for (const remove of removes.splice(0)) remove?.();
    };
  }

  /** Provides new credentials without a request; the broker redials with them. */
  authorize(credentials: Credentials): Promise<void> {
    return this.#outgoing.command({ type: "authorize", ...this.#ids(), ...credentials });
  }

  /** Changes the in-flight window; 0 pauses the stream. */
  window(messages: number, bytes: number): Promise<void> {
    this.#delivery.window = { messages, bytes };
    return this.#outgoing.command({ type: "window", ...this.#ids(), messages, bytes });
  }

  /** Reconnects now: drops the link if there is one, clears the backoff and a `failed` state. */
  reconnect(): Promise<void> {
    return this.#outgoing.command({ type: "reconnect", ...this.#ids() });
  }

  /** Detaches. The session stays in the broker; opening it again continues from here. */
  async detach(): Promise<void> {
    await this.#part({ type: "detach", ...this.#ids() });
  }

  /**
   * Ends the session for all its clients. The broker first writes messages sent before, for at most `closeTimeout`.
   * Resolves when the server has answered or after that timeout. Unwritten messages fail.
   */
  async close(code?: number, reason?: string): Promise<void> {
    await this.#part({ type: "close", ...this.#ids(), code, reason });
  }

  // ---- for the bridge ----

  /** @internal Under way while this worker leaves the session. */
  get parting(): Promise<void> | undefined {
    return this.#parting;
  }

  /** @internal Sends a payload as it is. `taken` is called when the broker has it. */
  async hand(payload: Payload, wanted: { receipt: boolean; taken(): void }): Promise<SendOutcome> {
    return this.#toOutcome(await this.#outgoing.send(payload, { receipt: wanted.receipt }, wanted.taken));
  }

  /** @internal Asks for the session, with another URL or other options if there are. */
  open(url: string | undefined, options: SessionOptions | undefined): Promise<Session<Incoming, Said>> {
    if (url !== undefined) this.#url = url;
    if (options) this.#options = options;
    return new Promise((resolve, reject) => {
      this.#opening.push({ resolve, reject });
      this.#host.connect();
    });
  }

  /** @internal The broker has answered on a port: attach. */
  async attach(): Promise<void> {
    const id = this.#host.nextId();
    this.#openId = id;
    const resume = await this.#delivery.position(this.#opened ? undefined : this.#options.from);
    // Another attachment may have begun meanwhile.
    if (this.#openId !== id) return;
    const {
      ack: _ack,
      attempts: _attempts,
      waitForHost: _wait,
      from: _from,
      schema: _schema,
      transient,
      conflict,
      ...options
    } = this.#options;
    const frame: Open = { type: "open", id, session: this.name, resume };
    // What is to be closed is not made anew, nor what belongs to its first attachment.
    if (!this.#closing && !(transient && this.#opened)) {
      frame.url = this.#url;
      frame.conflict = conflict;
      // Without URL and options the broker attaches to what is there and changes nothing.
      if (Object.values(options).some((option) => option !== undefined)) frame.options = options;
      const { pageOrigin } = this.#host;
      if (pageOrigin && (frame.url !== undefined || frame.options))
        frame.options = withOrigin(options, pageOrigin);
    }
    this.#host.post(frame);
  }

  /** @internal The attachment is gone, for a while. */
  lost(): void {
    this.#openId = "";
    this.#outgoing.lost();
    if (this.#closing === "begun") this.#leave("closed");
  }

  /** @internal Whether `open` shall wait for a host that is missing, if the developer has said so. */
  get waitsForHost(): boolean | undefined {
    return this.#options.waitForHost;
  }

  /**
   * @internal There will be no attachment until somebody asks, or for long. A session never opened is given up.
   * Returns how many calls are rejected.
   */
  unreachable(error: LongwireError): number {
    this.lost();
    const calls = this.#opening.length;
    if (!this.#opened) {
      this.#leave("refused", error);
      return calls;
    }
    for (const { reject } of this.#opening.splice(0)) reject(error);
    return calls + this.#outgoing.unreachable(error);
  }

  /** @internal Whether nothing is under way, so that the port can be closed. */
  get quiet(): boolean {
    return this.#opening.length === 0 && this.#outgoing.quiet && this.#delivery.quiet;
  }

  /** @internal Hands out nothing more, lets the handlers end, acknowledges. */
  drain(): Promise<void> {
    return this.#delivery.drain();
  }

  /** @internal Whether the broker has everything that was said. */
  get handedOver(): boolean {
    return this.#outgoing.handedOver;
  }

  /** @internal Whether an answer with this id is for this session. */
  awaits(id: string): boolean {
    return id === this.#openId || this.#outgoing.awaits(id);
  }

  /** @internal */
  flush(): Promise<void> {
    return this.#delivery.flush();
  }

  /** @internal Takes a frame of this session. */
  take(frame: ToExtension | Moved): void {
    switch (frame.type) {
      case "moved":
        this.lost();
        void this.attach();
        break;
      case "opened":
        this.#attached(frame);
        break;
      case "message":
      case "gap":
      case "state":
      case "outcome":
      case "response":
        this.#record(frame);
        break;
      case "accepted":
        this.#outgoing.accepted(frame.id, frame.outcome);
        break;
      case "ok":
        this.#outgoing.ok(frame.id);
        break;
      case "error":
        this.#error(frame);
        break;
      case "live":
        this.#live();
        break;
      case "auth-needed":
        this.#uplink.authNeeded(frame);
        break;
      case "detached":
        // While an attachment is asked for, this is about the one before.
        if (this.#opened?.id === this.#openId) this.#leave(frame.reason, undefined, closeReport(frame));
        break;
      case "stalled":
        this.#stalled = true;
        this.#widen();
        this.#callbacks.emit("stalled", frame);
        break;
      case "subscription":
        this.#callbacks.emit("subscription", frame);
        break;
    }
  }

  // ---- attachment ----

  #attached(opened: Opened): void {
    if (opened.id !== this.#openId) return;
    const first = this.#opened === undefined;
    this.#opened = opened;
    if (opened.ignored[0]) report(`unknown options: ${opened.ignored}`);
    const { window, from } = this.#options;
    if (this.#delivery.attached(opened, window, first ? from : undefined)) this.#orphaned = true;
    this.#outgoing.attached(new Set(opened.subscriptions.map(({ key }) => key)));
    this.#uplink.attached(opened);
    if (opened.state !== "closed") this.#delivery.inbox.revive();
    for (const { resolve } of this.#opening.splice(0)) resolve(this);
  }

  #live(): void {
    this.#delivery.live();
    if (this.#orphaned) {
      this.#orphaned = false;
      this.#outgoing.orphan(new Set(this.#opened?.outbox.map(({ id }) => id)));
    }
    this.#callbacks.emit("live");
  }

  /** The broker did not attach this worker. */
  #refused(error: LongwireError): void {
    const asked = this.#opening.length > 0;
    for (const { reject } of this.#opening.splice(0)) reject(error);
    // Another worker makes the session again after a restart of the broker.
    const mayComeBack = this.#opened && !this.#closing && !this.#options.transient;
    const comesBack = error.code === "no-session" && mayComeBack;
    if (!comesBack && (!this.#opened || error.retry === "no" || error.retry === "action")) {
      // Other options were refused: the attachment of before goes on.
      if (!(asked && this.#opened)) this.#leave(this.#closing ? "closed" : "refused", error);
      return;
    }
    const id = this.#openId;
    this.#host.clock.setTimeout(
      () => {
        if (id === this.#openId) void this.attach();
      },
      RETRY * (1 + this.#host.clock.random()),
    );
  }

  // ---- the end ----

  #part(frame: (Detach | Close) & { id: string }): Promise<void> {
    this.#parting ??= this.#goodbye(frame).finally(() => {
      this.#parting = undefined;
    });
    return this.#parting;
  }

  async #goodbye(frame: (Detach | Close) & { id: string }): Promise<void> {
    if (frame.type === "close") this.#closing = "asked";
    try {
      await this.#delivery.flush();
      await this.#outgoing.command(frame);
      if (frame.type === "close") await this.#closed();
    } catch (error) {
      // Being told of the end is as good as an answer.
      if (!this.#over) throw error;
    } finally {
      this.#closing = undefined;
    }
    this.#leave(frame.type === "close" ? "closed" : "left");
  }

  /** Resolves when the broker has told of the end; what could not be written has its outcome by then. */
  async #closed(): Promise<void> {
    if (this.#over) return;
    this.#closing = "begun";
    const { closeTimeout } = this.#options;
    const longest = (typeof closeTimeout === "number" ? closeTimeout : CLOSE_TIMEOUT) + CLOSE_GRACE;
    let timer: unknown;
    await new Promise<void>((resolve) => {
      this.#ended = resolve;
      timer = this.#host.clock.setTimeout(resolve, longest);
    });
    this.#host.clock.clearTimeout(timer);
  }

  #leave(reason: EndReason, error = this.#overBecause(reason), how?: CloseReport): void {
    if (this.#over) return;
    this.#openId = "";
    this.#outgoing.lost();
    this.#delivery.close();
    const over = reason === "closed" || reason === "expired";
    if (over) {
      void this.#host.memory.forget(this.name).catch(() => undefined);
      this.#outgoing.closed();
    }
    this.#outgoing.end(error);
    for (const { reject } of this.#opening.splice(0)) reject(error);
    // What the session still holds comes again to whoever attaches next.
    this.#delivery.inbox.end(reason === "closed" || reason === "left" ? undefined : error, !over);
    this.#host.left(this);
    this.#uplink.left();
    this.#over = error;
    this.#ended?.();
    this.#callbacks.emit("detached", reason, error, how);
  }

  #overBecause(reason: EndReason): LongwireError {
    return reason === "superseded"
      ? new LongwireError(reason, `longwire: another port of this client took over session ${this.name}`)
      : new LongwireError("session-closed", `longwire: session ${this.name} has ended (${reason})`);
  }

  // ---- records ----

  #record(frame: RecordFrame): void {
    const before = this.#delivery.newest;
    const token = this.#delivery.arrived(frame);
    if (!token) return;
    switch (frame.type) {
      case "message":
        this.#delivery.message(frame, token);
        return;
      case "gap":
        this.#delivery.gap(frame, token, before);
        return;
      case "state":
        this.#uplink.changed(frame, this.#delivery.isPast(frame));
        break;
      case "outcome":
        if (!this.#outgoing.outcome(frame)) this.#callbacks.emit("outcome", this.#toOutcome(frame));
        break;
      case "response":
        if (!this.#outgoing.response(frame)) this.#callbacks.emit("response", frame.id, this.#answer(frame));
        break;
    }
    token.finish();
  }

  #linkChanged(event: StateEvent): void {
    // A namespace's state is not the link's, nor is what is past.
    const present = event.namespace === undefined && !event.past;
    this.#callbacks.emit("link", event);
    this.#callbacks.emit("state", event);
    if (!present) return;
    if (event.state === "closed") this.#delivery.inbox.end();
    else this.#delivery.inbox.revive();
  }

  #error(frame: ErrorFrame): void {
    const isAboutOpen = frame.id !== undefined && frame.id === this.#openId;
    // The broker leaves; the next one is asked as soon as the host says that it is there.
    if (isAboutOpen && frame.code === "shutting-down") return;
    const error = fromWire(frame, this.#url);
    if (isAboutOpen) this.#refused(error);
    else if (frame.id === undefined || !this.#outgoing.refused(frame.id, error)) this.#failed(error);
  }

  #failed(error: LongwireError, message?: Received): void {
    if (this.#callbacks.emit("error", error as AnyLongwireError, message) === 0) report(error);
  }

  // ---- asking ----

  #ids(): { session: string; id: string } {
    return { session: this.name, id: this.#host.nextId() };
  }

  async #send(body: Payload | EventPayload, options: SendOptions): Promise<SendOutcome> {
    return this.#toOutcome(await this.#outgoing.send(body, options));
  }

  #toOutcome({ id, outcome, error }: SendEnd): SendOutcome {
    return { id, outcome, error: error && fromWire(error, this.#url) };
  }

  #answer(frame: Response): Received | LongwireError {
    return frame.error ? fromWire(frame.error, this.#url) : this.#delivery.answer(frame);
  }

  /** A handler may wait for what lies behind the messages that wait for the handler: make room for it. */
  #widen(): void {
    if (!this.#stalled || this.#outgoing.quiet) return;
    this.#stalled = false;
    const { messages, bytes } = this.#delivery.window;
    this.window(2 * messages, 2 * bytes).catch(() => undefined);
  }
}

function closeReport({ code, closeReason, clean }: Detached): CloseReport | undefined {
  return clean === undefined ? undefined : { code, reason: closeReason, clean };
}

/** These options with an `Origin` header, unless they have one. */
function withOrigin(options: Open["options"], Origin: string): Open["options"] {
  const named = Object.keys(options?.headers ?? {}).some((name) => name.toLowerCase() === "origin");
  return named ? options : { ...options, headers: { ...options?.headers, Origin } };
}
