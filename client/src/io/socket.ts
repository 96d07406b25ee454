// One namespace of a Socket.IO server with the face of socket.io-client's Socket, over a session. It keeps no
// connection and decides nothing about it: it tells what the session tells, in socket.io-client's words.

import type { LongwireError } from "../errors.js";
import { report } from "../events.js";
import type { Received } from "../received.js";
import type { Session } from "../session.js";
import type { AuthRequest, StateEvent } from "../session-types.js";
import type { Credentials } from "../wire.js";
import { awaited, type Taker } from "./ack.js";
import { marked, unmarked } from "./binary-markers.js";
import { callAll, Emitter, type EventsMap, type Listener, settled, without } from "./emitter.js";
import { EventQueue } from "./event-queue.js";
import type { Auth, ManagerOptions, SocketManager } from "./options.js";
import { reasonOf, refusal, toAckError } from "./socketio-reasons.js";

/** The events of the socket itself. */
export interface ReservedEvents {
  connect: () => void;
  /** `data` is the `data` of the error in the server's middleware. */
  connect_error: (error: Error & { data?: unknown }) => void;
  disconnect: (reason: string, details?: { description: string; context: unknown }) => void;
}

const RESERVED = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);
/** Milliseconds an acknowledgement without `timeout()` is waited for. */
const DAY = 86_400_000;

/** Emitted events that listeners of everything hear of later, at most. */
const UNHEARD = 1000;

interface Flags {
  volatile?: boolean;
  timeout?: number;
}

/** A namespace of a server. */
export class Socket<Listen extends EventsMap = EventsMap, Emit extends EventsMap = Listen> extends Emitter<
  Listen & ReservedEvents
> {
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
  #flags: Flags = {};
  /** What listeners of everything that is emitted hear when the namespace is open. */
  #unheard: unknown[][] = [];
  #incoming: Listener[] = [];
  #outgoing: Listener[] = [];
  #active = false;
  /** Counts calls of `connect` and `disconnect`: what belongs to an earlier one is not told. */
  #turn = 0;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #closing: Promise<void> | undefined;
  readonly #events = new EventQueue();
  /** The link was replaced while nobody looked, and the server did not say that it went on. */
  #broken = false;
  /** An attempt to connect is being made that began after a loss or a failure. */
  #tried = false;
  /** The credentials of the present attempt have not been proved. */
  #fresh = false;
  #ask: (() => void) | undefined;

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
    if (this.#session) void this.#again(this.#session);
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
    this.#turn += 1;
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
    const turn = ++this.#turn;
    try {
      await this.#closing;
      const options = await this.io.sessionOptions(this.nsp, this.auth);
      if (turn !== this.#turn) return;
      const { bridge } = this.io;
      this.#opening = bridge.open(this.#name, this.io.url, { ...options, waitForHost: false });
      // At once: what comes with the answer must not be missed.
      const session = bridge.sessions.find(({ name }) => name === this.#name) as Session;
      this.#hold(session);
      for (const { args, go } of this.#unsent.splice(0)) if (this.sendBuffer.includes(args)) go();
      this.sendBuffer = [];
      await this.#opening;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#session = undefined;
      this.#refused(error as Error);
    }
  }

  #hold(session: Session): void {
    this.#session = session;
    this.#events.reset();
    const mine = (seq: number | undefined, call: () => void) => {
      if (this.#session === session) this.#events.push(seq, call);
    };
    session.on("state", (event) => {
      if (event.past && event.continuity && event.continuity !== "server") this.#broken = true;
      // As it is now: by the time this is told, others may have been asked for.
      const fresh = this.#fresh;
      mine(event.seq, () => this.#changed(session, event, fresh));
    });
    session.on("message", (message) => mine(message.seq, () => this.#deliver(message)));
    session.on("detached", (_, error) => mine(undefined, () => this.#gone(error)));
    session.on("error", (error) => mine(undefined, () => this.#complain(error)));
    session.onGap((gap) =>
      mine(undefined, () => {
        if (this.io.hasListeners("gap")) this.io.emitReserved("gap", gap);
        else console.warn(`longwire: events of ${this.#name} were lost`, gap);
      }),
    );
    if (typeof this.auth === "function") session.onAuth((request) => this.#credentials(request));
  }

  /** Another attempt after a refusal. */
  async #again(session: Session): Promise<void> {
    this.#tried = true;
    const ask = this.#ask;
    this.#ask = undefined;
    if (ask) return ask();
    try {
      const auth = session.state === "failed" ? await this.#authData() : undefined;
      await (auth ? session.authorize({ auth }) : session.reconnect());
    } catch (error) {
      if (session === this.#session) this.#refused(error as Error);
    }
  }

  async #credentials({ why }: AuthRequest): Promise<Credentials> {
    // Refused just now: as in socket.io-client, the next attempt is up to the developer. An expired one is not.
    if (why === "refused" && this.#fresh) {
      await new Promise<void>((resolve) => {
        this.#ask = resolve;
      });
    }
    this.#fresh = true;
    return { auth: await this.#authData() };
  }

  #authData(): Promise<Record<string, unknown>> | Record<string, unknown> | undefined {
    const { auth } = this;
    return typeof auth === "function" ? new Promise((take) => auth(take)) : auth;
  }

  // ---- what the session tells ----

  #changed(session: Session, event: StateEvent, fresh: boolean): void {
    const { state, error, past } = event;
    if (event.namespace !== undefined) return;
    if (past) {
      // This worker was connected all along, and the link was replaced behind its back.
      if (state === "open" && this.#broken && this.connected) {
        this.#lost("transport close", event);
        this.#connected(session, event);
      }
      return;
    }
    if (state === "open") this.#connected(session, event);
    else if (state === "connecting") {
      if (this.#tried) this.io.said(this, "attempt");
    } else if (state === "waiting") {
      // Without either it only waits for its turn.
      this.#tried ||= this.connected || error !== undefined;
      if (this.connected) this.#lost(reasonOf(error), event);
      else if (error) this.#error(error);
    } else if (state === "unauthorized") {
      if (this.connected) this.#lost(reasonOf(error), event);
      if (error && fresh) this.#refused(refusal(event));
    } else if (state === "failed" || state === "closed") {
      if (this.connected) {
        this.#active = state === "failed" && error?.code !== "closed-by-server";
        this.#lost(error?.code === "closed-by-server" ? "io server disconnect" : reasonOf(error), event);
        this.#active = false;
      } else if (event.seq === undefined) {
        // It ended before this worker came.
        void this.#again(session);
      } else {
        this.io.said(this, "failed");
        this.#refused(refusal(event));
      }
    }
  }

  #connected(session: Session, event: StateEvent): void {
    if (this.connected) return;
    const { opened } = session;
    // Without a number: the link stood when this worker came.
    this.recovered =
      event.seq === undefined
        ? opened?.resume === "exact" && !opened.created && !this.#broken
        : event.continuity === "server";
    this.connected = true;
    this.#active = true;
    this.#broken = false;
    this.#tried = false;
    this.#fresh = false;
    this.io.said(this, "open");
    for (const packet of this.#unheard.splice(0)) callAll(this, this.#outgoing, packet);
    this.emitReserved("connect");
  }

  #lost(reason: string, event?: StateEvent): void {
    this.connected = false;
    const description = event?.error?.message ?? event?.reason ?? reason;
    const details = event && !reason.startsWith("io ") ? { description, context: event } : undefined;
    if (details) this.io.said(this, "close", reason, details);
    this.emitReserved("disconnect", reason, details);
  }

  #refused(error: Error): void {
    this.#active = false;
    this.#error(error);
  }

  #error(error: Error): void {
    this.io.said(this, "error", error);
    this.emitReserved("connect_error", error);
  }

  #gone(error: LongwireError): void {
    this.#session = undefined;
    this.#opening = undefined;
    this.#active = false;
    if (this.connected) {
      this.#lost("transport close", { state: "closed", error });
    }
  }

  #complain(error: LongwireError): void {
    if (this.io.hasListeners("error")) this.io.emitReserved("error", error);
    else report(error);
  }

  #deliver(message: Received): void {
    const args = unmarked(message.args ?? [message.data]) as unknown[];
    if (message.wantsReply) {
      let said = false;
      args.push((...answer: unknown[]) => {
        if (!said) message.reply(...marked(answer));
        said = true;
      });
    }
    const event = message.event ?? "message";
    const results = [
      ...callAll(this, this.#incoming, [event, ...args]),
      ...this.emitReserved(event, ...args),
    ].filter((result) => result instanceof Promise);
    // What an asynchronous listener has not finished is delivered again to the next worker.
    if (results.length === 0) message.done();
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

  #emit(event: string, given: unknown[], taker: Taker | undefined): void {
    if (RESERVED.has(event)) throw new Error(`"${event}" is a reserved event name`);
    const limit = taker && this.#timeLimit;
    const { volatile } = this.#flags;
    this.#flags = {};
    const args = marked(given);
    const packet = [event, ...given];
    if (this.connected) callAll(this, this.#outgoing, packet);
    else if (!volatile && this.#unheard.length < UNHEARD) this.#unheard.push(packet);
    const { end, signal } = awaited(taker, limit);
    const go = () => {
      const session = this.#session as Session;
      const namespace = this.nsp === "/" ? undefined : this.nsp;
      if (!taker) {
        session
          .emit(event, args, { namespace, volatile, receipt: false })
          .catch((error: LongwireError) => this.#session === session && this.#complain(error));
        return;
      }
      session
        .request(
          { event, args, namespace },
          { match: { ack: true }, timeout: limit ?? DAY, volatile, signal },
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

  // ---- listeners of everything ----

  /** Adds a listener for all received events. */
  onAny(listener: Listener): this {
    this.#incoming = [...this.#incoming, listener];
    return this;
  }
  /** The same, before the others. */
  prependAny(listener: Listener): this {
    this.#incoming = [listener, ...this.#incoming];
    return this;
  }
  /** Removes one, or all. */
  offAny(listener?: Listener): this {
    this.#incoming = without(this.#incoming, listener);
    return this;
  }
  /** The listeners for all received events. */
  listenersAny(): Listener[] {
    return this.#incoming;
  }
  /** Adds a listener for all emitted events. */
  onAnyOutgoing(listener: Listener): this {
    this.#outgoing = [...this.#outgoing, listener];
    return this;
  }
  /** The same, before the others. */
  prependAnyOutgoing(listener: Listener): this {
    this.#outgoing = [listener, ...this.#outgoing];
    return this;
  }
  /** Removes one, or all. */
  offAnyOutgoing(listener?: Listener): this {
    this.#outgoing = without(this.#outgoing, listener);
    return this;
  }
  /** The listeners for all emitted events. */
  listenersAnyOutgoing(): Listener[] {
    return this.#outgoing;
  }
}
