// One namespace of a Socket.IO server with the interface of socket.io-client's Socket, over a session. It keeps no
// connection and decides nothing about it: it emits what the session reports as socket.io-client's events.

import type { LongwireError } from "../errors.js";
import { report } from "../events.js";
import type { Received } from "../received.js";
import type { Session } from "../session.js";
import type { AuthRequest, StateEvent } from "../session-types.js";
import type { Credentials } from "../wire.js";
import { type AckHandler, awaitAck } from "./ack.js";
import { marked, unmarked } from "./binary-markers.js";
import { CatchAllEmitter } from "./catch-all.js";
import { callAll, type EventsMap, type Listener, settled } from "./emitter.js";
import { EventQueue } from "./event-queue.js";
import {
  type Auth,
  type ManagerOptions,
  RESERVED_EVENTS,
  type ReservedEvents,
  type SocketManager,
} from "./options.js";
import { reasonOf, refusal, toAckError } from "./socketio-reasons.js";

/** Maximum number of emitted events that wait for the listeners for all events. */
const MAX_UNNOTIFIED = 1000;
/** Milliseconds until an acknowledgement without `timeout()` is given up. */
const ACK_TIMEOUT = 86_400_000;

/** A namespace of a server. */
export class Socket<
  Listen extends EventsMap = EventsMap,
  Emit extends EventsMap = Listen,
> extends CatchAllEmitter<Listen & ReservedEvents> {
  /** The manager. */
  readonly io: SocketManager;
  /** The namespace. */
  readonly nsp: string;
  /** Sent when joining the namespace. A change takes effect at the next `connect()`. */
  auth: Auth | undefined;
  /** Whether the namespace is open. */
  connected = false;
  /** After `connect`: whether nothing was missed since the last connection, or while the worker slept. */
  recovered = false;
  /** Events emitted before `connect()`. Later ones wait in the broker. */
  sendBuffer: unknown[][] = [];
  /** Always empty: received events are delivered at once. */
  receiveBuffer: unknown[][] = [];
  readonly #opts: ManagerOptions;
  readonly #name: string;
  #unsent: { args: unknown[]; go: () => void }[] = [];
  #flags: { volatile?: boolean; timeout?: number } = {};
  /** Events emitted while the namespace was closed; the listeners for all events receive them when it opens. */
  #unnotified: unknown[][] = [];
  #active = false;
  /** Counts calls of `connect` and `disconnect`: results of an earlier one are ignored. */
  #generation = 0;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #closing: Promise<void> | undefined;
  readonly #events = new EventQueue();
  /** The link was replaced while this worker was stopped, and the server did not resume. */
  #wasReplaced = false;
  /** The present attempt to connect follows a loss or a failure. */
  #isRetry = false;
  /** The server has not accepted the credentials of the present attempt. */
  #isUnproven = false;
  /** Continues a request for credentials that waits for `connect()`. */
  #continueAuth: (() => void) | undefined;

  /** @internal */
  constructor(io: SocketManager, nsp: string, opts: ManagerOptions) {
    super();
    this.io = io;
    this.nsp = nsp;
    this.auth = opts.auth;
    this.#opts = opts;
    this.#name = io.nameFor(nsp);
  }

  /** Whether the namespace is not open. */
  get disconnected(): boolean {
    return !this.connected;
  }
  /** Whether it is open, or will reconnect without a call of `connect()`. */
  get active(): boolean {
    return this.#active;
  }
  /** Always undefined: the id belongs to the broker's connection, and changes after every loss of the link. */
  get id(): string | undefined {
    return undefined;
  }
  /** The session behind the socket, once `connect()` was called. */
  get session(): Promise<Session> | undefined {
    return this.#opening;
  }

  // ---- connecting ----

  /** Connects. After a refusal, retries with the current `auth`. */
  connect(): this {
    if (this.#active) return this;
    this.#active = true;
    if (this.#session) void this.#retry(this.#session);
    else void this.#open();
    return this;
  }
  /** As `connect`. */
  open(): this {
    return this.connect();
  }

  /** Ends the session. Events until the next `connect()` are missed. */
  disconnect(): this {
    const session = this.#session;
    this.#generation += 1;
    this.#active = false;
    this.#session = undefined;
    this.#opening = undefined;
    this.#events.clear();
    if (session) this.#closing = session.close().catch(() => undefined);
    if (this.connected) this.#lost("io client disconnect");
    return this;
  }
  /** As `disconnect`. */
  close(): this {
    return this.disconnect();
  }

  async #open(): Promise<void> {
    const generation = ++this.#generation;
    try {
      await this.#closing;
      const options = await this.io.sessionOptions(this.nsp, this.auth);
      if (generation !== this.#generation) return;
      const { bridge } = this.io;
      this.#opening = bridge.open(this.#name, this.io.url, { ...options, waitForHost: false });
      // At once: frames that arrive with the answer must not be missed.
      const session = bridge.sessions.find(({ name }) => name === this.#name) as Session;
      this.#attach(session);
      for (const { args, go } of this.#unsent.splice(0)) if (this.sendBuffer.includes(args)) go();
      this.sendBuffer = [];
      await this.#opening;
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#session = undefined;
      this.#refused(error as Error);
    }
  }

  #attach(session: Session): void {
    this.#session = session;
    this.#events.reset();
    const enqueue = (seq: number | undefined, call: () => void) => {
      if (this.#session === session) this.#events.push(seq, call);
    };
    session.on("state", (event) => {
      if (event.past && event.continuity && event.continuity !== "server") this.#wasReplaced = true;
      // The present value: new credentials may be requested before the event is emitted.
      const isUnproven = this.#isUnproven;
      enqueue(event.seq, () => this.#changed(session, event, isUnproven));
    });
    session.on("message", (message) => enqueue(message.seq, () => this.#deliver(message)));
    session.on("detached", (_, error) => enqueue(undefined, () => this.#detached(error)));
    session.on("error", (error) => enqueue(undefined, () => this.#reportError(error)));
    session.onGap((gap) =>
      enqueue(undefined, () => {
        if (this.io.hasListeners("gap")) this.io.emitReserved("gap", gap);
        else console.warn(`longwire: events of ${this.#name} were lost`, gap);
      }),
    );
    if (typeof this.auth === "function") session.onAuth((request) => this.#credentials(request));
  }

  /** Another attempt after a refusal. */
  async #retry(session: Session): Promise<void> {
    this.#isRetry = true;
    const continueAuth = this.#continueAuth;
    this.#continueAuth = undefined;
    if (continueAuth) return continueAuth();
    try {
      const auth = session.state === "failed" ? await this.#authData() : undefined;
      await (auth ? session.authorize({ auth }) : session.reconnect());
    } catch (error) {
      if (session === this.#session) this.#refused(error as Error);
    }
  }

  async #credentials({ why }: AuthRequest): Promise<Credentials> {
    // As in socket.io-client, the next attempt after a refusal is up to the developer; one after an expiry is not.
    if (why === "refused" && this.#isUnproven) {
      await new Promise<void>((resolve) => {
        this.#continueAuth = resolve;
      });
    }
    this.#isUnproven = true;
    return { auth: await this.#authData() };
  }

  #authData(): Promise<Record<string, unknown>> | Record<string, unknown> | undefined {
    const { auth } = this;
    return typeof auth === "function" ? new Promise((take) => auth(take)) : auth;
  }

  // ---- events of the session ----

  #changed(session: Session, event: StateEvent, isUnproven: boolean): void {
    const { state, error, past } = event;
    if (event.namespace !== undefined) return;
    if (past) {
      // The link was replaced while this worker took it for connected.
      if (state === "open" && this.#wasReplaced && this.connected) {
        this.#lost("transport close", event);
        this.#connected(session, event);
      }
      return;
    }
    if (state === "open") this.#connected(session, event);
    else if (state === "connecting") {
      if (this.#isRetry) this.io.notify(this, "attempt");
    } else if (state === "waiting") {
      // With neither, this dial only waits for the broker's rate limit.
      this.#isRetry ||= this.connected || error !== undefined;
      if (this.connected) this.#lost(reasonOf(error), event);
      else if (error) this.#error(error);
    } else if (state === "unauthorized") {
      if (this.connected) this.#lost(reasonOf(error), event);
      if (error && isUnproven) this.#refused(refusal(event));
    } else if (state === "failed" || state === "closed") {
      if (this.connected) {
        this.#active = state === "failed" && error?.code !== "closed-by-server";
        this.#lost(error?.code === "closed-by-server" ? "io server disconnect" : reasonOf(error), event);
        this.#active = false;
      } else if (event.seq === undefined) {
        // It ended before this worker started.
        void this.#retry(session);
      } else {
        this.io.notify(this, "failed");
        this.#refused(refusal(event));
      }
    }
  }

  #connected(session: Session, event: StateEvent): void {
    if (this.connected) return;
    const { opened } = session;
    // Without `seq`: the link was open when this worker started.
    this.recovered =
      event.seq === undefined
        ? opened?.resume === "exact" && !opened.created && !this.#wasReplaced
        : event.continuity === "server";
    this.connected = true;
    this.#active = true;
    this.#wasReplaced = false;
    this.#isRetry = false;
    this.#isUnproven = false;
    this.io.notify(this, "open");
    for (const packet of this.#unnotified.splice(0)) this.emitted(packet);
    this.emitReserved("connect");
  }

  #lost(reason: string, event?: StateEvent): void {
    this.connected = false;
    const description = event?.error?.message ?? event?.reason ?? reason;
    const details = event && !reason.startsWith("io ") ? { description, context: event } : undefined;
    if (details) this.io.notify(this, "close", reason, details);
    this.emitReserved("disconnect", reason, details);
  }

  #refused(error: Error): void {
    this.#active = false;
    this.#error(error);
  }

  #error(error: Error): void {
    this.io.notify(this, "error", error);
    this.emitReserved("connect_error", error);
  }

  #detached(error: LongwireError): void {
    this.#session = undefined;
    this.#opening = undefined;
    this.#active = false;
    if (this.connected) {
      this.#lost("transport close", { state: "closed", error });
    }
  }

  #reportError(error: LongwireError): void {
    if (this.io.hasListeners("error")) this.io.emitReserved("error", error);
    else report(error);
  }

  #deliver(message: Received): void {
    const args = unmarked(message.args ?? [message.data]) as unknown[];
    if (message.wantsReply) {
      let isAnswered = false;
      args.push((...answer: unknown[]) => {
        if (!isAnswered) message.reply(...marked(answer));
        isAnswered = true;
      });
    }
    const results = this.receive(message.event ?? "message", args).filter(
      (result) => result instanceof Promise,
    );
    // A message that an asynchronous listener has not finished is redelivered to the next worker.
    if (!results[0]) message.done();
    else void settled(results).then(() => message.done());
  }

  // ---- emitting ----

  /** Emits an event. A function as the last argument receives the server's acknowledgement. */
  emit<Name extends keyof Emit & string>(event: Name, ...args: Parameters<Emit[Name]>): this {
    const given: unknown[] = [...args];
    const call = typeof given.at(-1) === "function" ? (given.pop() as Listener) : undefined;
    const timed = this.#timeLimit !== undefined;
    this.#emit(
      event,
      given,
      call && {
        take: (answer) => void callAll(this, [call], timed ? [null, ...answer] : answer),
        fail: timed ? (error) => void callAll(this, [call], [error]) : undefined,
      },
    );
    return this;
  }

  /** Emits an event; resolves with the first argument of the acknowledgement. */
  // biome-ignore lint/suspicious/noExplicitAny: as in socket.io-client.
  emitWithAck<Name extends keyof Emit & string>(event: Name, ...args: unknown[]): Promise<any> {
    return new Promise((resolve, reject) => {
      this.#emit(event, args, { take: ([first]) => resolve(first), fail: reject });
    });
  }

  /** Emits `message`. */
  send(...args: unknown[]): this {
    return this.emit("message", ...(args as Parameters<Emit["message"]>));
  }

  /** The next event is dropped unless the link is open. */
  get volatile(): this {
    this.#flags.volatile = true;
    return this;
  }
  /** Has no effect. */
  compress(_compress?: boolean): this {
    return this;
  }
  /** Sets the timeout of the next event's acknowledgement; its callback receives an error as first argument. */
  timeout(milliseconds: number): this {
    this.#flags.timeout = milliseconds;
    return this;
  }

  get #timeLimit(): number | undefined {
    return this.#flags.timeout ?? this.#opts.ackTimeout;
  }

  #emit(event: string, given: unknown[], handler: AckHandler | undefined): void {
    if (RESERVED_EVENTS.has(event)) throw new Error(`"${event}" is a reserved event name`);
    const limit = handler && this.#timeLimit;
    const { volatile } = this.#flags;
    this.#flags = {};
    const args = marked(given);
    const packet = [event, ...given];
    if (this.connected) this.emitted(packet);
    else if (!volatile && this.#unnotified.length < MAX_UNNOTIFIED) this.#unnotified.push(packet);
    const { end, signal } = awaitAck(handler, limit);
    const go = () => {
      const session = this.#session as Session;
      const namespace = this.nsp === "/" ? undefined : this.nsp;
      if (!handler) {
        session
          .emit(event, args, { namespace, volatile, receipt: false })
          .catch((error: LongwireError) => this.#session === session && this.#reportError(error));
        return;
      }
      session
        .request(
          { event, args, namespace },
          { match: { ack: true }, timeout: limit ?? ACK_TIMEOUT, volatile, signal },
        )
        .then(
          (answer) =>
            this.#events.push(answer.seq, () =>
              end(({ take }) => take(unmarked(answer.args ?? [answer.data]) as unknown[])),
            ),
          (error) => this.#events.push(undefined, () => end(({ fail }) => fail?.(toAckError(error)))),
        );
    };
    if (this.#session) go();
    else if (!volatile) {
      this.sendBuffer.push(packet);
      this.#unsent.push({ args: packet, go });
    }
  }
}
