// One lasting connection as the developer holds it: messages in, messages out, and what became of both. It does not
// know the port; bridge.ts attaches it and brings its frames.

import { Acks } from "./acks.js";
import { fromWire, LongwireError } from "./errors.js";
import { Callbacks, type Off, report } from "./events.js";
import { ATTEMPTS, type GapHandler, Inbox, type MessageHandler } from "./inbox.js";
import { type Sendable, toPayload } from "./payload.js";
import { type Asked, type Entry, Pending } from "./pending.js";
import { Received, type ReceivedRoad } from "./received.js";
import type {
  AuthHandler,
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
import type { Clock } from "./surroundings.js";
import type {
  AuthNeeded,
  Credentials,
  ErrorFrame,
  EventPayload,
  LinkState,
  Open,
  Opened,
  Outcome,
  OutcomeWord,
  Payload,
  RecordFrame,
  Response,
  State,
  ToBroker,
  ToExtension,
} from "./wire.js";

/** What a session needs from its bridge. @internal */
export interface SessionRoad {
  readonly clock: Clock;
  readonly memory: Memory;
  nextId(): string;
  post(frame: ToBroker): void;
  /** The port is wanted. */
  wake(): void;
  /** The session is over for this bridge. */
  left(session: Session): void;
}

/** Milliseconds beyond a request's own deadline after which a broker that cannot be reached is not waited for. */
const GRACE = 5000;
/** Milliseconds, at least, after which an attachment that was refused for now is asked for again. */
const RETRY = 1000;

/** A lasting connection. Get one with `bridge.open`. */
export class Session implements AsyncIterable<Received> {
  /** Its name, unique in this extension and profile. */
  readonly name: string;
  readonly #road: SessionRoad;
  readonly #inbox: Inbox;
  readonly #pending: Pending;
  readonly #received: ReceivedRoad;
  readonly #callbacks = new Callbacks<Omit<SessionEvents, "message" | "gap">>();
  readonly #subscriptions = new Map<string, { frame: Asked; holders: number }>();
  #url: string | undefined;
  #options: SessionOptions;
  #acks: Acks | undefined;
  #epoch: string | undefined;
  #delivered = 0;
  #last = 0;
  #state: LinkState | "opening" | "detached" = "opening";
  #link: StateEvent | undefined;
  #opened: Opened | undefined;
  /** Why this worker does not hold it any more. */
  #over: LongwireError | undefined;
  #orphaned = false;
  #window = { messages: 0, bytes: 0 };
  /** The window has been full for a second. */
  #stalled = false;
  #openId = "";
  #opening: { resolve(session: Session): void; reject(error: LongwireError): void }[] = [];
  #parting: Promise<void> | undefined;
  #auth: AuthHandler | undefined;
  #authNeeded: AuthNeeded | undefined;

  /** @internal */
  constructor(road: SessionRoad, name: string, url: string | undefined, options: SessionOptions) {
    this.#road = road;
    this.name = name;
    this.#url = url;
    this.#options = options;
    const { clock } = road;
    this.#inbox = new Inbox(clock, options.ack === "manual", options.attempts ?? ATTEMPTS, (error, message) =>
      this.#failed(error, message),
    );
    this.#pending = new Pending(clock, (frame) => road.post(frame));
    this.#received = {
      done: (message) => this.#inbox.done(message),
      reply: ({ seq }, args) => road.post({ type: "reply", session: name, seq, args }),
    };
  }

  // ---- what is known ----

  /** The state of the link: `opening` before the broker has answered, `detached` when this worker has left. */
  get state(): LinkState | "opening" | "detached" {
    return this.#state;
  }

  /** The last change of the link, with its details. */
  get link(): StateEvent | undefined {
    return this.#link;
  }

  /** What the broker said when it attached this worker last: how it resumed, unknown options, and more. */
  get opened(): Opened | undefined {
    return this.#opened;
  }

  /** Bytes handed to `send` that the broker has not taken yet. */
  get bufferedAmount(): number {
    return this.#pending.bytes;
  }

  // ---- in ----

  /**
   * Adds a callback; returns what removes it. A `message` or `gap` callback may return a promise: the next message
   * waits for it, and the message is acknowledged when it is fulfilled.
   */
  on<Name extends keyof SessionEvents>(name: Name, call: (...args: SessionEvents[Name]) => unknown): Off {
    if (name === "message") return this.#inbox.onMessage(call as MessageHandler);
    if (name === "gap") return this.#inbox.onGap(call as GapHandler);
    return this.#callbacks.on(name as "state", call as (state: StateEvent) => unknown);
  }

  /** Adds a callback for messages with this event name (Socket.IO, SSE). Several per name are fine. */
  onEvent(event: string, call: MessageHandler): Off {
    return this.#inbox.onMessage(call, (message) => message.event === event);
  }

  /** Adds a callback for losses. Without one, losses are warned of on the console. */
  onGap(call: GapHandler): Off {
    return this.#inbox.onGap(call);
  }

  /** Adds a callback for changes of the link. */
  onState(call: (state: StateEvent) => unknown): Off {
    return this.on("state", call);
  }

  /** Gives credentials when the broker asks, which needs `auth: "provider"`. One at a time; the last one counts. */
  onAuth(call: AuthHandler): Off {
    this.#auth = call;
    if (this.#authNeeded) void this.#authorize(this.#authNeeded);
    return () => {
      if (this.#auth === call) this.#auth = undefined;
    };
  }

  /** Messages one by one. A message is acknowledged when the next is asked for; one in hand at `break` comes again. */
  [Symbol.asyncIterator](): AsyncGenerator<Received, void, undefined> {
    return this.#inbox.read();
  }

  // ---- out ----

  /** Sends, and resolves with what became of it. Rejects when the broker refuses it. */
  send(data: Sendable, options: SendOptions = {}): Promise<SendOutcome> {
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

  /** Sends, and resolves with the answer. Rejects with `timeout`, `link-lost`, `not-sent` and the like. */
  request(data: Sendable | EventPayload, options: RequestOptions): Promise<Received> {
    const { signal, match, timeout = 30_000, id = this.#road.nextId(), ...fields } = options;
    const body = isEvent(data) && "ack" in match ? data : toPayload(data as Sendable);
    const frame = { type: "request", session: this.name, id, ...body, ...fields, match, timeout } as Asked;
    return new Promise((resolve, reject) => {
      const timer = this.#road.clock.setTimeout(() => {
        const entry = this.#pending.settled(id);
        entry?.fail(
          new LongwireError("timeout", "longwire: the broker did not answer in time", { retry: "later" }),
        );
      }, timeout + GRACE);
      const settled = () => this.#road.clock.clearTimeout(timer);
      this.#ask(frame, signal, {
        settle: (response: Response) => {
          settled();
          if (response.error) reject(fromWire(response.error, this.#url));
          else resolve(new Received(response, this.#epoch ?? ""));
        },
        fail: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  /**
   * Subscribes: `spec.send` is said on every connection. With a callback, calls it for the messages of the key.
   * Returns what ends it. Several holders of one key share it; the last to leave ends it.
   */
  subscribe(key: string, spec: SubscribeSpec = {}, call?: MessageHandler): Off {
    const { match = ({ tags }) => tags.includes(key) || !tags[0] } = spec;
    const off = call && this.#inbox.onMessage(call, match);
    let held = this.#subscriptions.get(key);
    if (!held) {
      held = { frame: this.#subscription(key, spec), holders: 0 };
      this.#subscriptions.set(key, held);
      this.#tell(held.frame);
    }
    held.holders++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      off?.();
      if (--held.holders) return;
      this.#subscriptions.delete(key);
      this.#tell({ type: "unsubscribe", session: this.name, id: this.#road.nextId(), key });
    };
  }

  /** Gives fresh credentials without being asked; the broker redials with them. */
  authorize(credentials: Credentials): Promise<void> {
    return this.#command({ type: "authorize", session: this.name, id: this.#road.nextId(), ...credentials });
  }

  /** Changes the in-flight window; 0 pauses the stream. */
  window(messages: number, bytes: number): Promise<void> {
    this.#window = { messages, bytes };
    return this.#command({ type: "window", session: this.name, id: this.#road.nextId(), ...this.#window });
  }

  /** Dials now: drops the link if there is one, clears the backoff and a `failed` state. */
  reconnect(): Promise<void> {
    return this.#command({ type: "reconnect", session: this.name, id: this.#road.nextId() });
  }

  /** Leaves. The session lives on in the broker; opening it again goes on from here. */
  async detach(): Promise<void> {
    await this.#part({ type: "detach", session: this.name, id: this.#road.nextId() }, "left");
  }

  /** Ends the session for everybody. */
  async close(code?: number, reason?: string): Promise<void> {
    await this.#part({ type: "close", session: this.name, id: this.#road.nextId(), code, reason }, "closed");
  }

  // ---- for the bridge ----

  /** @internal Under way while this worker leaves the session. */
  get parting(): Promise<void> | undefined {
    return this.#parting;
  }

  /** @internal Sends a payload as it is; resolves when the broker has it. */
  hand(payload: Payload): Promise<SendOutcome> {
    return this.#send(payload, { receipt: false });
  }

  /** @internal Asks for the session, with another URL or other options if there are. */
  open(url: string | undefined, options: SessionOptions | undefined): Promise<Session> {
    if (url !== undefined) this.#url = url;
    if (options) this.#options = options;
    return new Promise((resolve, reject) => {
      this.#opening.push({ resolve, reject });
      this.#road.wake();
    });
  }

  /** @internal The broker has answered on a port: attach. */
  async attach(): Promise<void> {
    const id = this.#road.nextId();
    this.#openId = id;
    let resume = this.#epoch && this.#acks ? { epoch: this.#epoch, seq: this.#acks.position } : undefined;
    if (!resume) {
      resume = await this.#road.memory.position(this.name).catch(() => undefined);
      // Another attachment may have begun meanwhile.
      if (this.#openId !== id) return;
    }
    const { ack: _ack, attempts: _attempts, waitForHost: _wait, conflict, ...options } = this.#options;
    const frame: Open = { type: "open", id, session: this.name, url: this.#url, resume, conflict };
    // Without URL and options the broker attaches to what is there and changes nothing.
    if (Object.values(options).some((option) => option !== undefined)) frame.options = options;
    this.#road.post(frame);
  }

  /** @internal The attachment is gone, for a while. */
  lost(): void {
    this.#openId = "";
    this.#pending.lost();
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
    return calls + this.#pending.failAll(error, false);
  }

  /** @internal Whether nothing is under way, so that the port can rest. */
  get quiet(): boolean {
    return this.#opening.length === 0 && this.#pending.quiet && this.#inbox.quiet && !this.#acks?.busy;
  }

  /** @internal Hands out nothing more, lets the handlers end, acknowledges. */
  async drain(): Promise<void> {
    await this.#inbox.pause();
    await this.#acks?.flush();
  }

  /** @internal Whether the broker has everything that was said. */
  get handedOver(): boolean {
    return this.#pending.handedOver;
  }

  /** @internal Whether an answer with this id is for this session. */
  awaits(id: string): boolean {
    return id === this.#openId || this.#pending.find(id) !== undefined;
  }

  /** @internal */
  flush(): Promise<void> {
    return this.#acks?.flush() ?? Promise.resolve();
  }

  /** @internal Takes a frame of this session. */
  take(frame: ToExtension): void {
    switch (frame.type) {
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
        this.#accepted(frame.id, frame.outcome);
        break;
      case "ok":
        this.#pending.settled(frame.id)?.settle(frame as never);
        break;
      case "error":
        this.#error(frame);
        break;
      case "live":
        this.#live();
        break;
      case "auth-needed":
        this.#authNeeded = frame;
        void this.#authorize(frame);
        break;
      case "detached":
        // While an attachment is asked for, this is about the one before.
        if (this.#opened?.id === this.#openId) this.#leave(frame.reason);
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
    const goesOn = this.#epoch === opened.epoch && opened.resume !== "reset";
    this.#opened = opened;
    if (opened.ignored[0]) report(`unknown options: ${opened.ignored}`);
    this.#window = { messages: 4096, bytes: 4 * 1024 * 1024, ...this.#options.window };
    this.#last = opened.last;
    if (goesOn && this.#acks) this.#delivered = Math.max(this.#delivered, opened.seq);
    else this.#begin(opened);
    this.#acks?.again();
    const known = new Set(opened.subscriptions.map(({ key }) => key));
    for (const [key, { frame }] of this.#subscriptions) {
      if (!known.has(key) && !this.#pending.find(frame.id)) this.#tell(frame);
    }
    this.#pending.attached();
    if (this.#state !== opened.state) {
      this.#enter({ state: opened.state, subprotocol: opened.subprotocol });
    }
    if (opened.state !== "closed") this.#inbox.revive();
    for (const { resolve } of this.#opening.splice(0)) resolve(this);
  }

  /** Counting begins anew. */
  #begin(opened: Opened): void {
    const before = this.#acks;
    before?.close();
    this.#epoch = opened.epoch;
    this.#delivered = opened.seq;
    this.#acks = new Acks(
      this.#road.clock,
      {
        keep: (seq) => this.#road.memory.keep(this.name, { epoch: opened.epoch, seq }),
        ack: (seq) => this.#road.post({ type: "ack", session: this.name, seq }),
      },
      this.#window.messages,
      opened.seq,
    );
    if (opened.resume !== "reset") return;
    this.#orphaned = before !== undefined;
    this.#inbox.push({
      gap: { session: this.name, from: 0, to: opened.seq, count: 0, reason: "reset", exact: false },
    });
  }

  /** After a reset: what the old broker had accepted and the new one does not know has an unknown end. */
  #live(): void {
    if (this.#orphaned) {
      this.#orphaned = false;
      const known = new Set(this.#opened?.outbox.map(({ id }) => id));
      for (const entry of this.#pending.inBroker) {
        if (!known.has(entry.frame.id)) this.#orphan(entry);
      }
    }
    this.#callbacks.emit("live");
  }

  #orphan(entry: Entry): void {
    const { frame } = entry;
    this.#pending.settled(frame.id);
    if (frame.type === "send" && frame.ifLost === "resend") {
      this.#pending.add({ ...entry, accepted: false, posted: false });
    } else if (frame.type === "send") {
      entry.settle({ outcome: "unknown" } as never);
    } else {
      entry.fail(
        new LongwireError("broker-lost", "longwire: the broker was lost before the answer", {
          retry: "later",
        }),
      );
    }
  }

  #leave(reason: EndReason, error = this.#overBecause(reason)): void {
    if (this.#over) return;
    this.lost();
    this.#acks?.close();
    const over = reason === "closed" || reason === "expired";
    if (over) {
      void this.#road.memory.forget(this.name).catch(() => undefined);
    }
    this.#pending.failAll(error, true);
    for (const { reject } of this.#opening.splice(0)) reject(error);
    // What the session still holds comes again to whoever attaches next.
    this.#inbox.end(reason === "closed" || reason === "left" ? undefined : error, !over);
    this.#road.left(this);
    this.#state = "detached";
    this.#over = error;
    this.#callbacks.emit("detached", reason, error);
  }

  #overBecause(reason: EndReason): LongwireError {
    return reason === "superseded"
      ? new LongwireError(reason, `longwire: another port of this client took session ${this.name} over`)
      : new LongwireError("session-closed", `longwire: session ${this.name} is over (${reason})`);
  }

  // ---- records ----

  #record(frame: RecordFrame): void {
    if (!this.#acks || frame.seq <= this.#delivered) return;
    const before = this.#delivered;
    this.#delivered = frame.seq;
    const receipt = this.#acks.arrived(frame.seq);
    if (frame.type === "message") {
      const message = new Received(frame, this.#epoch ?? "", this.#received, receipt);
      this.#inbox.push({ receipt, message });
      return;
    }
    if (frame.type === "gap") {
      const { type: _type, seq: _seq, redelivered: _redelivered, ...gap } = frame;
      // What is still in our hands is not lost.
      const held = gap.from <= before && this.#opened?.resume === "gap";
      this.#inbox.push({ receipt, gap: held ? { ...gap, from: before + 1, exact: false } : gap });
      return;
    }
    if (frame.type === "state") this.#linkChanged(frame);
    else if (frame.type === "outcome") this.#outcome(frame);
    else this.#response(frame);
    receipt.finish();
  }

  #linkChanged(frame: State): void {
    const { type: _type, error, ...fields } = frame;
    const event: StateEvent = { ...fields, error: error && fromWire(error, this.#url) };
    // A namespace's state is not the link's.
    if (frame.namespace !== undefined) this.#callbacks.emit("state", event);
    else if (frame.seq <= this.#last) this.#callbacks.emit("state", { ...event, past: true });
    else this.#enter(event);
  }

  #enter(event: StateEvent): void {
    this.#state = event.state;
    this.#link = event;
    this.#callbacks.emit("state", event);
    if (event.state === "closed") this.#inbox.end();
    else this.#inbox.revive();
  }

  #outcome(frame: Outcome): void {
    const entry = this.#pending.settled(frame.id);
    if (entry) entry.settle(frame as never);
    else this.#callbacks.emit("outcome", this.#toOutcome(frame.id, frame));
  }

  #response(frame: Response): void {
    const entry = this.#pending.settled(frame.id);
    if (entry) entry.settle(frame as never);
    else {
      const response = frame.error
        ? fromWire(frame.error, this.#url)
        : new Received(frame, this.#epoch ?? "");
      this.#callbacks.emit("response", frame.id, response);
    }
  }

  #accepted(id: string, outcome: OutcomeWord | undefined): void {
    const entry = this.#pending.accepted(id);
    if (entry?.frame.type !== "send") return;
    if (outcome) this.#pending.settled(id)?.settle({ outcome } as never);
    else if (!entry.frame.receipt) this.#pending.settled(id)?.settle({ outcome: "accepted" } as never);
  }

  #error(frame: ErrorFrame): void {
    const error = fromWire(frame, this.#url);
    if (frame.id === this.#openId) {
      this.#refused(error);
      return;
    }
    // Without an id nothing is found.
    const entry = this.#pending.settled(frame.id as string);
    if (entry) entry.fail(error);
    else this.#failed(error);
  }

  /** The broker did not attach this worker. */
  #refused(error: LongwireError): void {
    const asked = this.#opening.length > 0;
    for (const { reject } of this.#opening.splice(0)) reject(error);
    if (!this.#opened || error.retry === "no" || error.retry === "action") {
      // Other options were refused: the attachment of before goes on.
      if (!(asked && this.#opened)) this.#leave("refused", error);
      return;
    }
    const id = this.#openId;
    this.#road.clock.setTimeout(
      () => {
        if (id === this.#openId) void this.attach();
      },
      RETRY * (1 + this.#road.clock.random()),
    );
  }

  #failed(error: LongwireError, message?: Received): void {
    if (this.#callbacks.emit("error", error, message) === 0) report(error);
  }

  // ---- asking ----

  #send(body: Payload | EventPayload, options: SendOptions): Promise<SendOutcome> {
    const { signal, receipt = true, id = this.#road.nextId(), ...fields } = options;
    const frame = { type: "send", session: this.name, id, ...body, ...fields, receipt } as Asked;
    return new Promise((resolve, reject) => {
      this.#ask(frame, signal, {
        settle: (end: Pick<Outcome, "outcome" | "error">) => resolve(this.#toOutcome(id, end)),
        fail: reject,
      });
    });
  }

  /** A handler may wait for what lies behind the messages that wait for the handler: make room for it. */
  #widen(): void {
    if (!this.#stalled || this.#pending.quiet) return;
    this.#stalled = false;
    this.window(2 * this.#window.messages, 2 * this.#window.bytes).catch(() => undefined);
  }

  #toOutcome(id: string, { outcome, error }: Pick<Outcome, "outcome" | "error">): SendOutcome {
    return { id, outcome, error: error && fromWire(error, this.#url) };
  }

  #ask(frame: Asked, signal: AbortSignal | undefined, ends: Pick<Entry, "settle" | "fail">): void {
    if (this.#over) {
      ends.fail(this.#over);
      return;
    }
    const cancelled = (one: typeof ends | undefined) => {
      if (frame.type === "send") one?.settle({ outcome: "cancelled" } as never);
      else one?.fail(new LongwireError("cancelled", "longwire: cancelled"));
    };
    if (signal?.aborted) {
      cancelled(ends);
      return;
    }
    const abort = () => cancelled(this.#pending.cancel(frame));
    signal?.addEventListener("abort", abort, { once: true });
    this.#pending.add({
      frame,
      bytes: weigh(frame),
      since: this.#road.clock.now(),
      accepted: false,
      posted: false,
      settle: ends.settle,
      // What was withdrawn and not heard of again has ended as wanted.
      fail: (error) => (signal?.aborted ? cancelled(ends) : ends.fail(error)),
    });
    this.#widen();
    this.#road.wake();
  }

  /** A command whose failure nobody waits for. */
  #tell(frame: Asked): void {
    this.#command(frame).catch((error: LongwireError) => this.#failed(error));
  }

  #command(frame: Asked): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ask(frame, undefined, { settle: () => resolve(), fail: reject });
    });
  }

  #part(frame: Asked, reason: EndReason): Promise<void> {
    this.#parting ??= (async () => {
      await this.#acks?.flush();
      await this.#command(frame).catch((error: LongwireError) => {
        // Being told of the end is as good as an answer.
        if (!this.#over) throw error;
      });
      this.#leave(reason);
    })().finally(() => {
      this.#parting = undefined;
    });
    return this.#parting;
  }

  #subscription(key: string, spec: SubscribeSpec): Asked {
    const say = (list?: (Sendable | EventPayload)[]) =>
      list?.map((one) => (isEvent(one) ? one : toPayload(one as Sendable)));
    const { confirm, filter } = spec;
    const id = this.#road.nextId();
    return {
      type: "subscribe",
      session: this.name,
      id,
      key,
      send: say(spec.send),
      undo: say(spec.undo),
      confirm,
      filter,
    };
  }

  async #authorize(needed: AuthNeeded): Promise<void> {
    const call = this.#auth;
    if (!call) return;
    this.#authNeeded = undefined;
    const { type: _type, nonce, ...request } = needed;
    const base = { type: "authorize", session: this.name, nonce } as const;
    try {
      this.#road.post({ ...base, ...(await call(request)) });
    } catch (error) {
      this.#road.post({ ...base, failed: String((error as Error)?.message ?? error) });
    }
  }
}

function isEvent(data: unknown): data is EventPayload {
  return (
    typeof (data as EventPayload | null)?.event === "string" && Array.isArray((data as EventPayload).args)
  );
}

/** Roughly the bytes of a frame's content. */
function weigh(frame: Asked): number {
  const { text, base64, json, args } = frame as {
    text?: string;
    base64?: string;
    json?: unknown;
    args?: unknown;
  };
  if (base64) return (base64.length * 3) / 4;
  return (text ?? JSON.stringify(json ?? args))?.length ?? 0;
}
