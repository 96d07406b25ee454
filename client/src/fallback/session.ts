// One session of the broker in the browser: the same frames as the host's, over the browser's own connections.

import type { Clock } from "../browser-api.js";
import type { Moved as BaseMoved } from "../fallback-registry.js";
import type {
  Authorize,
  Close,
  ErrorFrame,
  LinkState,
  Open,
  Opened,
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
import { type ClientPort, Consumer } from "./consumer.js";
import { Dialer, type StateFields } from "./dialer.js";
import type { BrowserNetwork, Incoming, LinkEnd } from "./link.js";
import { SessionLog } from "./log.js";
import { refuseCredentials, refuseFilter, unknownOptions } from "./options.js";
import { type Item, Outbox, sizeOf } from "./outbox.js";
import { matches, type Readable } from "./rules.js";

/** Frames that a session's client may say. */
export type ToSession = Exclude<ToBroker, { type: "hello" | "open" | "status" | "ping" }>;

/** A session has gone over to the host. */
export interface Moved extends BaseMoved {
  /** What was not written, to be said to the host's broker. */
  frames: (Send | Request)[];
  /** Where it led, for clients that only know its name: whoever is first makes it anew. */
  target?: Pick<Open, "url" | "options">;
}

/** What a session needs from its broker. */
export interface SessionHost {
  readonly network: BrowserNetwork;
  readonly clock: Clock;
  /** Whether there is a native host to go over to. */
  readonly isHostThere: () => boolean;
  /** The session is over, or has gone over to the host. */
  over(session: BrowserSession): void;
}

interface Subscription {
  readonly frame: Subscribe;
  readonly client: string;
  isActive: boolean;
}

const MAX_MESSAGE = 64 * 1024 * 1024;
const LINGER = 1_800_000;
const EXPIRE = 86_400_000;
const CLOSE_TIMEOUT = 10_000;
/** Milliseconds that clients have to process what they hold before a session goes over to the host. */
const MOVE_PATIENCE = 10_000;

/** A session. */
export class BrowserSession {
  readonly name: string;
  readonly #host: SessionHost;
  readonly #clock: Clock;
  readonly #log: SessionLog;
  readonly #epoch = `browser/${crypto.randomUUID()}`;
  readonly #consumers = new Map<string, Consumer>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #outbox: Outbox;
  readonly #dialer: Dialer;
  #url: string;
  #options: OpenOptions;
  #subprotocol: string | undefined;
  #nonce = 0;
  #counts = { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0, dropped: 0 };
  #closing: { code?: number | undefined; reason?: string | undefined } | undefined;
  #closeTimer: unknown;
  #leavesAt: number | undefined;
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
    this.#log = new SessionLog(name);
    this.#outbox = new Outbox(host.clock, options.outbox, {
      outcome: (item, outcome, error) => this.#outcome(item, outcome, error),
      response: ({ client, frame }, answer) => this.#record("response", { id: frame.id, ...answer }, client),
    });
    this.#dialer = new Dialer(host.network, host.clock, url, options, {
      state: (state, fields) => this.#linkState(state, fields),
      message: (message, read) => this.#message(message, read),
      ready: () => this.#ready(),
      room: () => this.#pump(),
      lost: (end) => this.#lost(end),
      askCredentials: (why, attempt, status) => this.#askCredentials(why, attempt, status),
      leaves: () => this.#leaves(),
    });
  }

  get state(): LinkState {
    return this.#dialer.state;
  }

  /** Messages that somebody has not acknowledged. */
  get pending(): number {
    return this.#log.pending.messages;
  }

  get counters(): SessionCounters {
    const { received, receivedBytes, sent, sentBytes, dropped } = this.#counts;
    const consumers = [...this.#consumers.values()];
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
      clients: consumers.filter(({ port }) => port).length,
    };
  }

  // ---- attachments ----

  /** Attaches a client. `known` says that this client had the session before this broker lived. */
  open(port: ClientPort, client: string, frame: Open, known: boolean): void {
    const isNew = this.#isNew;
    this.#isNew = false;
    if (!isNew && !this.#update(port, frame)) return;
    this.#stopAwayTimers();
    if (isNew || this.state === "closed" || this.state === "paused") this.#dialer.start();
    const consumer = this.#consumers.get(client);
    const before = consumer?.port;
    if (before && before !== port)
      before.post({ type: "detached", session: this.name, reason: "superseded" });
    const attached = consumer ?? new Consumer(client, this.name, this.#log, this.#clock);
    const resume = this.#resume(consumer, frame.resume, known);
    this.#consumers.set(client, attached);
    attached.attach(port, this.#options.window, resume);
    port.post({
      type: "opened",
      id: frame.id,
      session: this.name,
      created: isNew,
      epoch: this.#epoch,
      resume: resume.answer,
      seq: resume.seq,
      last: this.#log.last,
      state: this.state,
      ...(this.#subprotocol ? { subprotocol: this.#subprotocol } : {}),
      outbox: this.#outbox.openIds(client),
      subscriptions: [...this.#subscriptions].map(([key, { isActive }]) => ({
        key,
        state: isActive ? "active" : "pending",
      })),
      ignored: unknownOptions(frame.options),
    });
    if (this.state === "unauthorized") this.#askCredentials("start", 1, undefined);
    this.#deliver();
    if (this.#leavesAt !== undefined) this.#move();
  }

  /** Takes another URL or other options over. Returns whether the client may attach. */
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

  #resume(
    consumer: Consumer | undefined,
    offered: Open["resume"],
    known: boolean,
  ): { seq: number; answer: Opened["resume"] } {
    const { last, start } = this.#log;
    const from = (seq: number): { seq: number; answer: Opened["resume"] } =>
      seq < start ? { seq: start, answer: "gap" } : { seq, answer: "exact" };
    if (offered && offered.epoch === this.#epoch && offered.seq <= last) return from(offered.seq);
    if (offered || (known && !consumer)) return { seq: start, answer: "reset" };
    return consumer ? from(consumer.acked) : { seq: last, answer: "fresh" };
  }

  /** A port is gone, or has left. */
  detach(port: ClientPort, client: string): void {
    const consumer = this.#consumers.get(client);
    if (consumer?.port !== port) return;
    consumer.detach();
    if ([...this.#consumers.values()].some(({ port: held }) => held)) return;
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

  /** Takes a frame of a client. Returns whether the client holds the session. */
  take(port: ClientPort, client: string, frame: ToSession): boolean {
    const consumer = this.#consumers.get(client);
    if (consumer?.port !== port) return false;
    const { id } = frame as { id?: string };
    switch (frame.type) {
      case "ack":
        consumer.ack(frame.seq);
        this.#acknowledged();
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
        this.#refuse(port, { code: "unsupported", message: "only Socket.IO has replies", retry: "no" }, id);
        return true;
      case "authorize":
        if (!this.#authorize(port, frame)) return true;
        break;
      case "unsubscribe":
        this.#unsubscribe(frame.key);
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
    if (this.#leaves()) return;
    this.#dialer.stop("connecting");
    this.#dialer.start();
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
    this.#record("outcome", { id: frame.id, outcome, ...(error ? { error } : {}) }, client);
  }

  // ---- subscriptions ----

  #subscribe(port: ClientPort, client: string, frame: Subscribe): void {
    const error = refuseFilter(frame.filter);
    if (error) {
      this.#refuse(port, error, frame.id);
      return;
    }
    const before = this.#subscriptions.get(frame.key)?.frame;
    const isSame =
      JSON.stringify([before?.send, before?.confirm]) === JSON.stringify([frame.send, frame.confirm]);
    const isKnown = before !== undefined && isSame;
    const isActive = isKnown && (this.#subscriptions.get(frame.key)?.isActive ?? false);
    const held = { frame, client, isActive };
    this.#subscriptions.set(frame.key, held);
    port.post({ type: "ok", id: frame.id });
    if (this.#dialer.canSend && !isKnown) this.#say(held);
    else this.#tell(held);
  }

  #unsubscribe(key: string): void {
    const held = this.#subscriptions.get(key);
    this.#subscriptions.delete(key);
    if (!this.#dialer.canSend) return;
    for (const payload of held?.frame.undo ?? []) this.#dialer.send(payload as Payload, () => undefined);
  }

  #say(held: Subscription): void {
    for (const payload of held.frame.send ?? []) this.#dialer.send(payload as Payload, () => undefined);
    held.isActive = !held.frame.confirm;
    this.#tell(held);
  }

  #tell({ frame: { key }, client, isActive }: Subscription): void {
    const state = isActive ? "active" : "pending";
    this.#consumers.get(client)?.port?.post({ type: "subscription", session: this.name, key, state });
  }

  // ---- in ----

  #message(message: Incoming, read: Readable): void {
    const size = sizeOf(message);
    this.#counts.received += 1;
    this.#counts.receivedBytes += size;
    const content =
      this.#options.format === "json" && read.json !== undefined ? withJson(message, read) : message;
    if (this.#outbox.heard(read, content as never)) return;
    for (const held of this.#subscriptions.values()) {
      if (held.isActive || !held.frame.confirm || !matches(held.frame.confirm, read)) continue;
      held.isActive = true;
      this.#tell(held);
    }
    const now = Date.now();
    if (size > (this.#options.maxMessage ?? MAX_MESSAGE)) this.#log.gap("too-large", now, this.#delivered);
    else if (this.#makeRoom(size)) this.#log.append({ type: "message", time: now, ...content }, now, size);
    this.#deliver();
  }

  /** Whether there is room for a message, after the session's own rule for a full log. */
  #makeRoom(size: number): boolean {
    const { queue } = this.#options;
    this.#log.dropAged(Date.now(), queue, this.#delivered);
    while (this.#log.isFull(size, queue)) {
      const overflow = queue?.overflow ?? "drop-oldest";
      this.#counts.dropped += 1;
      if (overflow === "drop-oldest" && this.#log.dropOldest("overflow", this.#delivered)) continue;
      this.#log.gap("overflow", Date.now(), this.#delivered);
      // A browser's socket cannot be read more slowly.
      if (overflow !== "drop-newest" && overflow !== "drop-oldest") {
        const error: WireError = { code: "overflow", message: "the log is full", retry: "later" };
        this.#dialer.stop(this.#options.reconnect === false ? "closed" : "paused", { error });
      }
      return false;
    }
    return true;
  }

  get #delivered(): number {
    return Math.max(0, ...[...this.#consumers.values()].map(({ cursor }) => cursor));
  }

  #record(type: "outcome" | "response", fields: Record<string, unknown>, client: string): void {
    this.#log.append({ type, ...fields }, Date.now(), 0, client);
    this.#deliver();
  }

  #deliver(): void {
    for (const consumer of this.#consumers.values()) consumer.deliver();
  }

  #acknowledged(): void {
    const positions = [...this.#consumers.values()].map(({ acked }) => acked);
    this.#log.release(Math.min(...positions));
    if (this.#leavesAt !== undefined) this.#move();
  }

  // ---- the link ----

  #linkState(state: LinkState, fields: StateFields): void {
    if (state === "open") this.#subprotocol = fields.subprotocol;
    this.#log.state({ type: "state", state, ...fields }, Date.now(), this.#delivered);
    this.#deliver();
  }

  #ready(): void {
    for (const held of this.#subscriptions.values()) this.#say(held);
    this.#pump();
  }

  #lost(end: LinkEnd): void {
    this.#outbox.lost();
    for (const held of this.#subscriptions.values()) held.isActive = false;
    const goesOn = this.#outbox.waiting.length > 0 && this.#options.reconnect !== false;
    if (this.#closing && !goesOn) this.#closed(end);
  }

  #askCredentials(why: string, attempt: number, status: number | undefined): void {
    this.#nonce += 1;
    for (const { port } of this.#consumers.values()) {
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
    // The answer to an older question.
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

  // ---- over to the host ----

  /** There is a native host: a session without a connection goes over to it. */
  hostIsThere(): void {
    if (!this.#dialer.isBusy && this.state !== "closed") this.#leaves();
  }

  /** Whether the session goes over to the host in place of another connection of the browser's. */
  #leaves(): boolean {
    if (!this.#host.isHostThere() || this.#closing) return false;
    this.#leavesAt ??= this.#clock.now() + MOVE_PATIENCE;
    this.#moveTimer ??= this.#clock.setTimeout(() => this.#move(), MOVE_PATIENCE);
    // Whoever asked is to return first.
    queueMicrotask(() => this.#move());
    return true;
  }

  /** Goes over as soon as its clients have processed everything, or after a while. */
  #move(): void {
    if (this.#isOver || this.#leavesAt === undefined) return;
    const consumers = [...this.#consumers.values()].filter(({ port }) => port);
    const isProcessed = consumers.every(
      ({ unacknowledged, cursor }) => !unacknowledged && cursor >= this.#log.last,
    );
    if (consumers.length === 0 || !(isProcessed || this.#clock.now() >= this.#leavesAt)) return;
    const items = this.#outbox.handOver();
    const here = new Set(consumers.map(({ client }) => client));
    const words = consumers.map(({ client, port }, at) => {
      // What a client has left behind that is not here goes with the first.
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
    for (const { port } of this.#consumers.values()) {
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
    for (const consumer of this.#consumers.values()) consumer.detach();
    this.#host.over(this);
  }
}

/** The message with its value in the place of its text. */
function withJson({ text: _text, ...rest }: Incoming, { json }: Readable): Incoming {
  return { ...rest, json } as Incoming;
}
