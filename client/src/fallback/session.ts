// One session of the broker in the browser, over the browser's own connections.

import type { Clock } from "../browser-api.js";
import type {
  Authorize,
  Close,
  ErrorFrame,
  LinkState,
  Open,
  OpenOptions,
  SessionCounters,
  ToBroker,
  ToExtension,
  WireError,
} from "../wire.js";
import type { ClientPort } from "./consumer.js";
import { Dialer } from "./dialer.js";
import type { CredentialsRequest, StateFields } from "./dialer-host.js";
import { present } from "./from-broker.js";
import { HostMove } from "./host-move.js";
import { IncomingLog } from "./incoming.js";
import {
  type BrowserNetwork,
  type Incoming,
  type LinkEnd,
  linkError,
  type NamespaceChange,
  type SendReply,
} from "./link.js";
import { refuseCredentials, unknownOptions } from "./options.js";
import { Outbox } from "./outbox.js";
import { BrowserOutgoing } from "./outgoing.js";
import { withPreset } from "./presets.js";
import { isEqual, type Readable, withJson } from "./rules.js";
import { serverUrl } from "./server-url.js";

/** Frames of a client to its session. */
export type ToSession = Exclude<ToBroker, { type: "hello" | "open" | "status" | "ping" }>;

/** What a session needs from its broker. */
export interface BrowserSessionHost {
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

/** A session. */
export class BrowserSession {
  readonly name: string;
  readonly #host: BrowserSessionHost;
  readonly #clock: Clock;
  readonly #incoming: IncomingLog;
  readonly #outbox: Outbox;
  readonly #outgoing: BrowserOutgoing;
  readonly #dialer: Dialer;
  readonly #move: HostMove;
  #url: string;
  /** As they were given. */
  #given: OpenOptions;
  /** With the options of the preset. */
  #options: OpenOptions;
  #subprotocol: string | undefined;
  #received = { messages: 0, bytes: 0 };
  #closing: { code?: number | undefined; reason?: string | undefined } | undefined;
  #closeTimer: unknown;
  #awayTimers: unknown[] = [];
  #isNew = true;
  #isEnding = false;
  #isOver = false;

  constructor(host: BrowserSessionHost, name: string, url: string, options: OpenOptions) {
    this.#host = host;
    this.#clock = host.clock;
    this.name = name;
    this.#url = url;
    this.#given = options;
    this.#options = withPreset(options);
    this.#incoming = new IncomingLog(name, host.clock);
    this.#outbox = new Outbox(host.clock, this.#options.outbox, this.#incoming);
    this.#outgoing = new BrowserOutgoing(name, host.clock, () => this.#options, {
      dialer: () => this.#dialer,
      incoming: this.#incoming,
      outbox: this.#outbox,
      isClosing: () => this.#closing !== undefined,
      refuse: (port, error, id) => this.#refuse(port, error, id),
      settled: () => this.#hangUpIfDone(),
    });
    this.#dialer = new Dialer(host.network, host.clock, url, this.#options, {
      state: (state, fields) => this.#linkState(state, fields),
      namespace: (change) => this.#namespace(change),
      message: (message, read, reply) => this.#message(message, read, reply),
      ready: () => this.#outgoing.begin(),
      room: () => this.#outgoing.pump(),
      ended: (end) => this.#ended(end),
      lost: () => this.#outgoing.lost(),
      askCredentials: (question) => this.#ask(question),
      isIdle: () => this.#outbox.isSettled,
      movesToHost: () => this.#move.start(),
    });
    this.#move = new HostMove(name, host.clock, {
      incoming: this.#incoming,
      outbox: this.#outbox,
      mayMove: () => host.isHostAvailable() && !this.#closing,
      target: () => ({ url: this.#url, options: this.#given }),
      moved: () => this.#over(),
    });
  }

  get state(): LinkState {
    return this.#dialer.state;
  }

  /** Messages that a client has not acknowledged. */
  get pending(): number {
    return this.#incoming.pending;
  }

  get counters(): SessionCounters {
    const { consumers, attached, dropped, filtered } = this.#incoming;
    return {
      session: this.name,
      state: this.state,
      durability: "memory",
      dials: this.#dialer.dials,
      reconnects: Math.max(0, this.#dialer.dials - 1),
      received: { ...this.#received },
      sent: { ...this.#outgoing.sent },
      queued: this.pending,
      unacknowledged: consumers.reduce((sum, { unacknowledged }) => sum + unacknowledged, 0),
      dropped,
      outbox: this.#outbox.waiting.length,
      clients: attached.length,
      ...(filtered ? { filtered } : {}),
    };
  }

  // ---- attachments ----

  /** Attaches a client. `known`: it held the session before this broker started. */
  open(port: ClientPort, client: string, frame: Open, known: boolean): void {
    const isNew = this.#isNew;
    this.#isNew = false;
    if (!isNew && !this.#update(port, frame)) return;
    this.#stopAwayTimers();
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
      state: this.#dialer.stateForClient,
      ...(this.#subprotocol ? { subprotocol: this.#subprotocol } : {}),
      outbox: this.#outbox.openIds(client),
      subscriptions: this.#outgoing.subscriptions,
      ignored: unknownOptions(frame.options),
    });
    const { question } = this.#dialer;
    if (question) this.#ask(question);
    this.#incoming.deliver();
    if (this.state === "paused") this.#dialer.start();
    this.#move.proceed();
  }

  /** The URL and the options that an `open` asks for. Those that it leaves out stay as they are. */
  given({ url, options = this.#given }: Open): { url: string; options: OpenOptions } {
    const asksForNone = url === undefined && Object.keys(options).length === 0;
    return { url: url ?? this.#url, options: asksForNone ? this.#given : options };
  }

  /** Applies another URL or other options. Returns whether the client may attach. */
  #update(port: ClientPort, frame: Open): boolean {
    const { id, conflict } = frame;
    const { url, options } = this.given(frame);
    const isSame = serverUrl(url, "ws") === serverUrl(this.#url, "ws") && isEqual(options, this.#given);
    if (isSame || conflict === "keep") return true;
    if (conflict === "error") {
      const why = "the session exists with another URL or other options";
      this.#refuse(port, linkError("session-conflict", why, "no"), id);
      return false;
    }
    this.#url = url;
    this.#given = options;
    this.#options = withPreset(options);
    this.#outgoing.optionsChanged();
    this.#incoming.resetGuard();
    this.#dialer.update(url, this.#options);
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
    // The answer comes before what the frame causes.
    if (/^(unsubscribe|window|reconnect|detach|close)$/.test(frame.type)) this.#accept(port, id);
    switch (frame.type) {
      case "ack":
        consumer.ack(frame.seq);
        this.#incoming.acknowledged();
        this.#move.proceed();
        break;
      case "send":
      case "request":
        this.#outgoing.send(port, client, frame);
        break;
      case "cancel":
        if (!this.#outbox.cancel(client, frame.id)) {
          this.#refuse(port, linkError("not-sent", "this id is not known", "now"), frame.id);
        }
        break;
      case "subscribe":
        this.#outgoing.subscribe(port, client, frame);
        break;
      case "unsubscribe":
        this.#outgoing.unsubscribe(frame.key);
        break;
      case "reply":
        this.#accept(port, id, this.#outgoing.reply(frame.seq, frame.args));
        break;
      case "authorize":
        this.#authorize(port, frame);
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
        this.#close(frame);
        break;
    }
    return true;
  }

  #accept(port: ClientPort, id: string | undefined, error?: WireError): void {
    if (error) this.#refuse(port, error, id);
    else if (id !== undefined) port.post({ type: "ok", id });
  }

  #ask(question: CredentialsRequest): void {
    this.#postAll({ type: "auth-needed", session: this.name, ...question });
  }

  /** Takes credentials, asked for or not. */
  #authorize(port: ClientPort, { type: _type, session: _session, id, ...answer }: Authorize): void {
    const { nonce, failed, ...credentials } = answer;
    const error = refuseCredentials(answer, this.#url, this.#options, this.#dialer.question?.nonce);
    this.#accept(port, id, error);
    const isAnswer = nonce !== undefined;
    // No other answer would do: a browser's connection cannot carry what this provider has.
    if (error?.code === "unsupported") this.#dialer.stop("failed", { error });
    if (error) return;
    if (failed === undefined) this.#dialer.authorize(credentials, isAnswer);
    else this.#dialer.noCredentials(failed, isAnswer);
  }

  #reconnect(): void {
    if (this.#move.start()) this.#dialer.stop("connecting");
    else this.#dialer.reconnect();
  }

  #postAll(frame: ToExtension): void {
    for (const { port } of this.#incoming.attached) port?.post(present(frame));
  }

  #refuse(port: ClientPort, error: WireError, id: string | undefined): void {
    const frame: ErrorFrame = { type: "error", ...error, session: this.name, id };
    port.post(present(frame));
  }

  // ---- in ----

  #message(message: Incoming, read: Readable, reply: SendReply | undefined): void {
    this.#received.messages += 1;
    this.#received.bytes += read.size;
    const isValue = this.#options.format === "json" && message.text !== undefined && read.json !== undefined;
    const content = isValue ? withJson(message, read) : message;
    if (this.#outgoing.onMessage(read, content)) return;
    const { seq, isFull } = this.#incoming.message(content, read, this.#options);
    if (seq !== undefined && reply) this.#outgoing.awaitReply(seq, reply);
    if (!isFull) return;
    const error = linkError("overflow", "the log is full");
    this.#dialer.stop(this.#options.reconnect === false ? "closed" : "paused", { error });
  }

  // ---- the link ----

  #linkState(state: LinkState, fields: StateFields): void {
    if (state === "open") this.#subprotocol = fields.subprotocol;
    this.#incoming.state(state, fields);
  }

  #namespace({ state, namespace, error }: NamespaceChange): void {
    this.#incoming.state(state, { namespace, error });
  }

  /** The connection ended. Returns whether that is the end of a session that is being closed. */
  #ended(end: LinkEnd): boolean {
    if (!this.#closing) return false;
    this.#outgoing.lost();
    const goesOn = this.#outbox.waiting.length > 0 && this.#options.reconnect !== false;
    if (!goesOn) this.#closed(end);
    return !goesOn;
  }

  // ---- move to the host ----

  /** The native host is available: a session without a connection moves to it. */
  hostAvailable(): void {
    if (!["connecting", "open", "closed"].includes(this.state)) this.#move.start();
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
    if (this.state !== "open") this.#closed({});
    else this.#dialer.close(code, reason);
  }

  #closed({ code, reason, clean = false }: LinkEnd): void {
    if (this.#isEnding || this.#isOver) return;
    this.#isEnding = true;
    this.#outbox.close();
    this.#dialer.stop("closed", { code, reason: reason || undefined });
    this.#end("closed", { clean, code, closeReason: reason || undefined });
  }

  #end(reason: "closed" | "expired", how: object = {}): void {
    for (const { port } of this.#incoming.consumers) {
      port?.post(present({ type: "detached", session: this.name, reason, ...how }));
    }
    this.#over();
  }

  #over(): void {
    this.#isOver = true;
    this.#dialer.end();
    this.#clock.clearTimeout(this.#closeTimer);
    this.#move.stop();
    this.#stopAwayTimers();
    for (const consumer of this.#incoming.consumers) consumer.detach();
    this.#host.over(this);
  }
}
