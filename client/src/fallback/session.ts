// One session of the broker in the browser, over the browser's own connections.

import type { Clock } from "../browser-api.js";
import type { Moved as BaseMoved } from "../fallback-registry.js";
import type {
  Authorize,
  Close,
  ErrorFrame,
  LinkState,
  Open,
  OpenOptions,
  Payload,
  Request,
  Send,
  SessionCounters,
  Subscribe,
  ToBroker,
  ToExtension,
  WireError,
} from "../wire.js";
import type { ClientPort } from "./consumer.js";
import { Dialer, type StateFields } from "./dialer.js";
import { IncomingLog } from "./incoming.js";
import type { BrowserNetwork, Incoming, LinkEnd } from "./link.js";
import { refuseCredentials, refuseFilter, unknownOptions } from "./options.js";
import { type Item, Outbox, sizeOf } from "./outbox.js";
import type { Readable } from "./rules.js";
import { Subscriptions } from "./subscriptions.js";

/** Frames of a client to its session. */
export type ToSession = Exclude<ToBroker, { type: "hello" | "open" | "status" | "ping" }>;

/** A session moves to the host. */
export interface Moved extends BaseMoved {
  /** Unsent messages, for the host's broker. */
  frames: (Send | Request)[];
  /** URL and options, for clients that know only the name: the first one creates the session. */
  target?: Pick<Open, "url" | "options">;
}

/** What a session needs from its broker. */
export interface SessionHost {
  readonly network: BrowserNetwork;
  readonly clock: Clock;
  /** Whether the native host is available. */
  readonly isHostAvailable: () => boolean;
  /** The session ended, or moved to the host. */
  over(session: BrowserSession): void;
}

const LINGER = 1_800_000;
const EXPIRE = 86_400_000;
const CLOSE_TIMEOUT = 10_000;
/** Milliseconds that clients have to process their messages before a session moves to the host. */
const MOVE_TIMEOUT = 10_000;

/** A session. */
export class BrowserSession {
  readonly name: string;
  readonly #host: SessionHost;
  readonly #clock: Clock;
  readonly #incoming: IncomingLog;
  readonly #subscriptions: Subscriptions;
  readonly #outbox: Outbox;
  readonly #dialer: Dialer;
  #url: string;
  #options: OpenOptions;
  #subprotocol: string | undefined;
  #nonce = 0;
  #counts = { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
  #closing: { code?: number | undefined; reason?: string | undefined } | undefined;
  #closeTimer: unknown;
  #moveDeadline: number | undefined;
  #moveTimer: unknown;
  #awayTimers: unknown[] = [];
  #isNew = true;
  #isEnding = false;
  #isOver = false;

  constructor(host: SessionHost, name: string, url: string, options: OpenOptions) {
    this.#host = host;
    this.#clock = host.clock;
    this.name = name;
    this.#url = url;
    this.#options = options;
    this.#incoming = new IncomingLog(name, host.clock);
    this.#subscriptions = new Subscriptions({
      canSend: () => this.#dialer.canSend,
      send: (payload) => this.#dialer.send(payload, () => undefined),
      tell: ({ frame: { key }, client, isActive }) => {
        const state = isActive ? "active" : "pending";
        this.#incoming.consumer(client)?.port?.post({ type: "subscription", session: name, key, state });
      },
    });
    this.#outbox = new Outbox(host.clock, options.outbox, {
      outcome: (item, outcome, error) => this.#outcome(item, outcome, error),
      response: ({ client, frame }, answer) =>
        this.#incoming.record("response", { id: frame.id, ...answer }, client),
    });
    this.#dialer = new Dialer(host.network, host.clock, url, options, {
      state: (state, fields) => this.#linkState(state, fields),
      message: (message, read) => this.#message(message, read),
      ready: () => this.#ready(),
      room: () => this.#pump(),
      lost: (end) => this.#lost(end),
      askCredentials: (why, attempt, status) => this.#askCredentials(why, attempt, status),
      movesToHost: () => this.#startMove(),
    });
  }

  get state(): LinkState {
    return this.#dialer.state;
  }

  /** Messages that somebody has not acknowledged. */
  get pending(): number {
    return this.#incoming.pending;
  }

  get counters(): SessionCounters {
    const { received, receivedBytes, sent, sentBytes } = this.#counts;
    const { consumers, attached, dropped } = this.#incoming;
    return {
      session: this.name,
      state: this.state,
      durability: "memory",
      dials: this.#dialer.dials,
      reconnects: Math.max(0, this.#dialer.dials - 1),
      received: { messages: received, bytes: receivedBytes },
      sent: { messages: sent, bytes: sentBytes },
      queued: this.pending,
      unacknowledged: consumers.reduce((sum, { unacknowledged }) => sum + unacknowledged, 0),
      dropped,
      outbox: this.#outbox.waiting.length,
      clients: attached.length,
    };
  }

  // ---- attachments ----

  /** Attaches a client. `known`: it held the session before this broker started. */
  open(port: ClientPort, client: string, frame: Open, known: boolean): void {
    const isNew = this.#isNew;
    this.#isNew = false;
    if (!isNew && !this.#update(port, frame)) return;
    this.#stopAwayTimers();
    if (isNew || this.state === "closed" || this.state === "paused") this.#dialer.start();
    const resume = this.#incoming.resume(client, frame.resume, known);
    const consumer = this.#incoming.consumerFor(client);
    if (consumer.port && consumer.port !== port) {
      consumer.port.post({ type: "detached", session: this.name, reason: "superseded" });
    }
    consumer.attach(port, this.#options.window, resume);
    port.post({
      type: "opened",
      id: frame.id,
      session: this.name,
      created: isNew,
      epoch: this.#incoming.epoch,
      resume: resume.answer,
      seq: resume.seq,
      last: this.#incoming.last,
      state: this.state,
      ...(this.#subprotocol ? { subprotocol: this.#subprotocol } : {}),
      outbox: this.#outbox.openIds(client),
      subscriptions: this.#subscriptions.states,
      ignored: unknownOptions(frame.options),
    });
    if (this.state === "unauthorized") this.#askCredentials("start", 1, undefined);
    this.#incoming.deliver();
    if (this.#moveDeadline !== undefined) this.#move();
  }

  /** Applies another URL or other options. Returns whether the client may attach. */
  #update(port: ClientPort, { id, url = this.#url, options = this.#options, conflict }: Open): boolean {
    const dial = (one: OpenOptions) =>
      JSON.stringify([one.protocol, one.subprotocols, one.headers, one.poll]);
    const isSame = url === this.#url && JSON.stringify(options) === JSON.stringify(this.#options);
    if (isSame || conflict === "keep") return true;
    if (conflict === "error") {
      const why = `the session ${this.name} exists with another URL or other options`;
      this.#refuse(port, { code: "session-conflict", message: why, retry: "no" }, id);
      return false;
    }
    const redials = url !== this.#url || dial(options) !== dial(this.#options);
    this.#url = url;
    this.#options = options;
    this.#outbox.options = options.outbox;
    if (redials) this.#dialer.start(url, options);
    return true;
  }

  /** Detaches a client, or its lost port. */
  detach(port: ClientPort, client: string): void {
    const consumer = this.#incoming.consumer(client);
    if (consumer?.port !== port) return;
    consumer.detach();
    if (this.#incoming.attached.length > 0) return;
    const { linger = LINGER, expire = EXPIRE } = this.#options;
    this.#awayTimers = [
      this.#clock.setTimeout(() => this.#dialer.stop("paused"), linger),
      this.#clock.setTimeout(() => this.#end("expired"), expire),
    ];
  }

  #stopAwayTimers(): void {
    for (const timer of this.#awayTimers.splice(0)) this.#clock.clearTimeout(timer);
  }

  // ---- frames ----

  /** Handles a frame of a client. Returns false if the client is not attached. */
  take(port: ClientPort, client: string, frame: ToSession): boolean {
    const consumer = this.#incoming.consumer(client);
    if (consumer?.port !== port) return false;
    const { id } = frame as { id?: string };
    switch (frame.type) {
      case "ack":
        consumer.ack(frame.seq);
        this.#incoming.acknowledged();
        this.#move();
        return true;
      case "send":
      case "request":
        this.#send(port, client, frame);
        return true;
      case "cancel":
        if (!this.#outbox.cancel(client, frame.id)) {
          this.#refuse(port, { code: "not-sent", message: "this id is not known", retry: "no" }, frame.id);
        }
        return true;
      case "subscribe":
        this.#subscribe(port, client, frame);
        return true;
      case "reply":
        this.#refuse(
          port,
          { code: "unsupported", message: "only Socket.IO supports replies", retry: "no" },
          id,
        );
        return true;
      case "authorize":
        if (!this.#authorize(port, frame)) return true;
        break;
      case "unsubscribe":
        this.#subscriptions.remove(frame.key);
        break;
      case "window":
        consumer.window = frame;
        break;
      case "reconnect":
        this.#reconnect();
        break;
      case "detach":
        this.detach(port, client);
        break;
      case "close":
        if (id !== undefined) port.post({ type: "ok", id });
        this.#close(frame);
        return true;
    }
    if (id !== undefined) port.post({ type: "ok", id });
    return true;
  }

  #reconnect(): void {
    this.#dialer.stop("connecting");
    if (!this.#startMove()) this.#dialer.start();
  }

  #refuse(port: ClientPort, error: WireError, id: string | undefined): void {
    const frame: ErrorFrame = { type: "error", ...error, session: this.name };
    port.post(id === undefined ? frame : { ...frame, id });
  }

  // ---- out ----

  #send(port: ClientPort, client: string, frame: Send | Request): void {
    const { id } = frame;
    const known = id === undefined ? undefined : this.#outbox.known(client, id);
    const error = known ? undefined : this.#refuseSend(frame);
    if (error) {
      this.#refuse(port, error, id);
      return;
    }
    if (id !== undefined) {
      port.post({ type: "accepted", session: this.name, id, durability: "memory", ...known });
    }
    if (known) return;
    const item = this.#outbox.add(client, frame);
    if (frame.volatile && this.state !== "open") this.#outbox.drop(item);
    else this.#pump();
  }

  #refuseSend(frame: Send | Request): WireError | undefined {
    const { protocol = "websocket", post } = this.#options;
    const confirm = frame.type === "request" ? frame.match : frame.confirm;
    if (this.#closing) {
      return { code: "session-closed", message: `the session ${this.name} is being closed`, retry: "no" };
    }
    if ("event" in frame || (confirm && "ack" in confirm)) {
      return { code: "unsupported", message: "Socket.IO needs the native host", retry: "no" };
    }
    if (protocol !== "websocket" && !post) {
      return { code: "unsupported", message: "there is no `post` to send with", retry: "no" };
    }
    const isDropped = frame.volatile && this.state !== "open";
    if (isDropped || !this.#outbox.isFull(sizeOf(frame as Partial<Payload>))) return undefined;
    return { code: "outbox-full", message: "the outbox is full", retry: "later" };
  }

  #pump(): void {
    while (this.#dialer.canSend) {
      const item = this.#outbox.next();
      if (!item) break;
      this.#counts.sent += 1;
      this.#counts.sentBytes += item.size;
      this.#dialer.send(item.payload, (how) => {
        this.#outbox.sent(item, how);
        this.#hangUpIfDone();
      });
    }
    this.#hangUpIfDone();
  }

  #outcome({ client, frame }: Item, outcome: string, error?: WireError): void {
    if (frame.id === undefined) return;
    const isBad = outcome !== "sent" && outcome !== "confirmed";
    if (!isBad && !frame.receipt) return;
    this.#incoming.record("outcome", { id: frame.id, outcome, ...(error ? { error } : {}) }, client);
  }

  // ---- subscriptions ----

  #subscribe(port: ClientPort, client: string, frame: Subscribe): void {
    const error = refuseFilter(frame.filter);
    if (error) {
      this.#refuse(port, error, frame.id);
      return;
    }
    port.post({ type: "ok", id: frame.id });
    this.#subscriptions.add(client, frame);
  }

  // ---- in ----

  #message(message: Incoming, read: Readable): void {
    const size = sizeOf(message);
    this.#counts.received += 1;
    this.#counts.receivedBytes += size;
    const content =
      this.#options.format === "json" && read.json !== undefined ? withJson(message, read) : message;
    if (this.#outbox.onMessage(read, content as never)) return;
    this.#subscriptions.onMessage(read);
    if (this.#incoming.message(content, size, this.#options)) return;
    const error: WireError = { code: "overflow", message: "the log is full", retry: "later" };
    this.#dialer.stop(this.#options.reconnect === false ? "closed" : "paused", { error });
  }

  // ---- the link ----

  #linkState(state: LinkState, fields: StateFields): void {
    if (state === "open") this.#subprotocol = fields.subprotocol;
    this.#incoming.state(state, fields);
  }

  #ready(): void {
    this.#subscriptions.sendAll();
    this.#pump();
  }

  #lost(end: LinkEnd): void {
    this.#outbox.lost();
    this.#subscriptions.lost();
    const goesOn = this.#outbox.waiting.length > 0 && this.#options.reconnect !== false;
    if (this.#closing && !goesOn) this.#closed(end);
  }

  #askCredentials(why: string, attempt: number, status: number | undefined): void {
    this.#nonce += 1;
    for (const { port } of this.#incoming.consumers) {
      port?.post({
        type: "auth-needed",
        session: this.name,
        nonce: `${this.#nonce}`,
        why,
        attempt,
        deadline: 60_000,
        ...(status === undefined ? {} : { status }),
      });
    }
  }

  /** Returns whether it is to be answered with `ok`. */
  #authorize(port: ClientPort, { type: _type, nonce, id, failed, ...more }: Authorize): boolean {
    // The answer to an earlier `auth-needed`.
    if (nonce !== undefined && nonce !== `${this.#nonce}`) return true;
    if (failed !== undefined) {
      this.#dialer.noCredentials(failed);
      return true;
    }
    const { session: _session, ...credentials } = more;
    const error = refuseCredentials(credentials, this.#options);
    if (error) {
      this.#refuse(port, error, id);
      this.#dialer.noCredentials(error.message);
      return false;
    }
    this.#dialer.authorize(credentials);
    return true;
  }

  // ---- move to the host ----

  /** The native host is available: a session without a connection moves to it. */
  hostAvailable(): void {
    if (!this.#dialer.isBusy && this.state !== "closed") this.#startMove();
  }

  /** Starts to move to the host, if there is one. Returns whether it does. */
  #startMove(): boolean {
    if (!this.#host.isHostAvailable() || this.#closing) return false;
    this.#moveDeadline ??= this.#clock.now() + MOVE_TIMEOUT;
    this.#moveTimer ??= this.#clock.setTimeout(() => this.#move(), MOVE_TIMEOUT);
    // After the caller has returned.
    queueMicrotask(() => this.#move());
    return true;
  }

  /** Moves as soon as all clients have processed their messages, or after the timeout. */
  #move(): void {
    if (this.#isOver || this.#moveDeadline === undefined) return;
    const { attached: consumers, isProcessed } = this.#incoming;
    if (consumers.length === 0 || !(isProcessed || this.#clock.now() >= this.#moveDeadline)) return;
    const items = this.#outbox.handOver();
    const here = new Set(consumers.map(({ client }) => client));
    const words = consumers.map(({ client, port }, at) => {
      // Messages of clients that are not attached go with the first.
      const own = items.filter((item) => item.client === client || (at === 0 && !here.has(item.client)));
      const frames = own.map((item) => this.#outbox.rest(item));
      const target = { url: this.#url, options: this.#options };
      const moved: Moved = { type: "moved", session: this.name, frames, target };
      return () => port?.post(moved as unknown as ToExtension);
    });
    this.#over();
    for (const say of words) say();
  }

  // ---- the end ----

  #close({ code, reason, discard }: Close): void {
    if (this.#closing) return;
    this.#closing = { code, reason };
    if (discard)
      for (const { client, frame } of [...this.#outbox.waiting]) this.#outbox.cancel(client, frame.id ?? "");
    const { closeTimeout = CLOSE_TIMEOUT } = this.#options;
    this.#closeTimer = this.#clock.setTimeout(() => this.#closed({ clean: false }), closeTimeout);
    this.#hangUpIfDone();
  }

  /** Sends the close frame when everything is written. */
  #hangUpIfDone(): void {
    if (!this.#closing || this.#isOver || !this.#outbox.isSettled) return;
    const { code, reason } = this.#closing;
    if (this.state !== "open") this.#closed({ clean: true });
    else this.#dialer.close(code, reason);
  }

  #closed({ code, reason, clean = false }: LinkEnd): void {
    if (this.#isEnding || this.#isOver) return;
    this.#isEnding = true;
    this.#outbox.close();
    this.#dialer.stop("closed", { ...(code === undefined ? {} : { code }), ...(reason ? { reason } : {}) });
    this.#end("closed", {
      clean,
      ...(code === undefined ? {} : { code }),
      ...(reason ? { closeReason: reason } : {}),
    });
  }

  #end(reason: "closed" | "expired", how: object = {}): void {
    for (const { port } of this.#incoming.consumers) {
      port?.post({ type: "detached", session: this.name, reason, ...how });
    }
    this.#over();
  }

  #over(): void {
    this.#isOver = true;
    this.#dialer.end();
    this.#clock.clearTimeout(this.#closeTimer);
    this.#clock.clearTimeout(this.#moveTimer);
    this.#stopAwayTimers();
    for (const consumer of this.#incoming.consumers) consumer.detach();
    this.#host.over(this);
  }
}

/** The message with its value in place of its text. */
function withJson({ text: _text, ...rest }: Incoming, { json }: Readable): Incoming {
  return { ...rest, json } as Incoming;
}
