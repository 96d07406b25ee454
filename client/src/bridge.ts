// One port and the sessions on it: attaches them whenever the broker answers and routes their frames. It stores no messages.

import type { BridgeEvents, BridgeMode, ConnectOptions, ResolvedOptions } from "./bridge-types.js";
import { type Clock, type ExtensionApi, extensionApi, sleep, systemClock } from "./browser-api.js";
import {
  type AnyLongwireError,
  DEFAULT_HOST,
  fromBrowser,
  fromWire,
  type HostContext,
  type LongwireError,
  local,
} from "./errors.js";
import { Callbacks, isNew, report, type Unsubscribe } from "./events.js";
import { findFallback } from "./fallback-registry.js";
import { followLifecycle, leaveLifecycle } from "./lifecycle.js";
import type { Sendable } from "./payload.js";
import { HostPort, type PortState } from "./port.js";
import { Requests } from "./requests.js";
import type { SessionHost } from "./session/context.js";
import { Session } from "./session.js";
import type { SessionOptions } from "./session-types.js";
import type { SchemaOutput, StandardSchema } from "./standard-schema.js";
import { Memory } from "./storage.js";
import type { Hello, StatusAnswer, ToBroker, ToExtension, Welcome } from "./wire.js";
import { PROTOCOL } from "./wire.js";

/** Milliseconds without traffic after which `keepAlive: "alarms"` closes the port. */
export const IDLE = 5000;
/** Milliseconds between searches for a missing host while this context runs. An alarm searches too. */
export const RETRY_MISSING = 20_000;
/** Maximum milliseconds that an update waits for handlers, and for the broker to accept messages. */
export const DRAIN = 5000;
/** Errors that only a reload of the extension can fix: `open` does not wait. */
const UNTIL_RELOAD = /^(permission|storage)-missing$/;
/** Errors that an installation fixes. */
const NOT_INSTALLED = /^host-(not-found|forbidden)$/;
/** Sent in `hello`. */
export const SDK = "longwire-js/0.1.0";

const bridges = new WeakMap<ExtensionApi["runtime"], Map<string, Bridge>>();

/**
 * Returns the bridge to the native host. Call it at the top level of the worker: it registers the listeners that
 * restart the worker. The same host, client and profile return the same bridge. The port opens with the first
 * session.
 */
export function connect(options: ConnectOptions = {}): Bridge {
  const { api = extensionApi(), host = DEFAULT_HOST, client = "main", profile } = options;
  const known = bridges.get(api.runtime) ?? new Map<string, Bridge>();
  bridges.set(api.runtime, known);
  const key = JSON.stringify([host, client, profile]);
  const bridge = known.get(key) ?? new Bridge(api, { ...options, host, client });
  known.set(key, bridge);
  return bridge;
}

/** The connection to the native host and its broker. Get one with `connect`. */
export class Bridge {
  readonly #api: ExtensionApi;
  readonly #clock: Clock;
  readonly #options: ResolvedOptions;
  readonly #context: HostContext;
  readonly #memory: Memory;
  readonly #port: HostPort;
  readonly #sessions = new Map<string, Session>();
  /** The requests that belong to no session. */
  readonly #requests: Requests;
  readonly #callbacks = new Callbacks<BridgeEvents>();
  readonly #sessionHost: SessionHost;
  /** An alarm will open the port again, so it need not stay. */
  readonly #closesWhenIdle: boolean;
  readonly #prefix = crypto.randomUUID().slice(0, 13);
  #count = 0;
  #identity: { profile: string; instance: string } | undefined;
  #starting: Promise<void> | undefined;
  #ended = false;
  #welcome: Welcome | undefined;
  #mode: BridgeMode = "host";
  /** Why there is no port, reported already. */
  #failure: LongwireError | undefined;
  #searchTimer: unknown;
  #idleTimer: unknown;

  /** @internal */
  constructor(api: ExtensionApi, options: ResolvedOptions) {
    this.#clock = options.clock ?? api.clock ?? systemClock;
    this.#options = options;
    const caller = `${api.app ? "--app" : "--extension"} ${api.runtime.id ?? "<id>"}`;
    this.#context = { host: options.host, caller };
    this.#api = api;
    this.#memory = new Memory(api, options.client, (error) => this.#storageFailed(error));
    const page = api.runtime.getURL?.("") ?? "";
    this.#sessionHost = {
      pageOrigin: /^moz-extension:\/\/[^/]+/.exec(page)?.[0],
      clock: this.#clock,
      memory: this.#memory,
      nextId: () => this.#nextId(),
      post: (frame) => this.#post(frame),
      connect: () => this.connect(),
      left: (core) => {
        if (this.#sessions.get(core.name)?.core === core) this.#sessions.delete(core.name);
      },
    };
    this.#requests = new Requests(
      this.#clock,
      (frame) => this.#port.post(frame),
      () => this.connect(),
    );
    const { fallback } = options;
    const request = {
      api,
      clock: this.#clock,
      explain: (reason: string | undefined) => fromBrowser(reason, this.#context),
      keepsAwake: options.keepAlive !== "alarms",
    };
    this.#port = new HostPort({
      api,
      clock: this.#clock,
      context: this.#context,
      open: fallback && findFallback(fallback).attach(request),
      hello: () => this.#hello(),
      ready: (welcome) => this.#ready(welcome),
      frame: (frame) => this.#take(frame),
      lost: (error) => this.#lost(error),
      failed: (error) => this.#failed(error),
      state: (state, error) => this.#callbacks.emit("state", state, error),
    });
    this.#closesWhenIdle = followLifecycle(api, this, options.updates) && options.keepAlive === "alarms";
  }

  /** The state of the port. */
  get state(): PortState {
    return this.#port.state;
  }

  /** Where new connections are made. `browser` only with `fallback`, while there is no native host. */
  get mode(): BridgeMode {
    return this.#mode;
  }

  /** Why there is no host, while `mode` is `browser`. */
  get hostError(): LongwireError | undefined {
    return this.#port.hostError;
  }

  /** The broker's last `welcome`: its version, capabilities and limits. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** The open sessions of this bridge. */
  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** @internal Whether the port is needed. */
  get wanted(): boolean {
    return this.#sessions.size > 0 || (this.#port.missing && this.#callbacks.has("installed"));
  }

  /** @internal The API, options and clock, for the bridges of `longwire/relay`. */
  get context(): { api: ExtensionApi; options: ResolvedOptions; clock: Clock } {
    return { api: this.#api, options: this.#options, clock: this.#clock };
  }

  /** Adds a callback; returns a function that removes it. */
  on<Name extends keyof BridgeEvents>(
    name: Name,
    call: (...args: BridgeEvents[Name]) => unknown,
  ): Unsubscribe {
    return this.#callbacks.on(name, call);
  }

  /**
   * Opens a session, or continues the existing one of this name: after the worker has died, call it again with the
   * same name. Without URL and options it attaches to the session that another context has opened and changes
   * nothing.
   *
   * Rejects when the broker refuses. When the native host cannot be reached, the bridge's `error` event reports why and
   * `open` waits for the host, which the SDK looks for at least every 30 s; without a listener for that event it
   * rejects. The option `waitForHost` overrides this.
   */
  open<Schema extends StandardSchema, Sent extends Sendable = Sendable>(
    name: string,
    url: string | undefined,
    options: SessionOptions & { schema: Schema },
  ): Promise<Session<SchemaOutput<Schema>, Sent>>;
  open<Incoming = unknown, Sent extends Sendable = Sendable>(
    name: string,
    url?: string,
    options?: SessionOptions,
  ): Promise<Session<Incoming, Sent>>;
  /** Attaches to the session that another context has opened. */
  open<Incoming = unknown, Sent extends Sendable = Sendable>(
    name: string,
    options: SessionOptions,
  ): Promise<Session<Incoming, Sent>>;
  open(name: string, target?: string | SessionOptions, more?: SessionOptions): Promise<Session> {
    const [url, options] = typeof target === "object" ? [undefined, target] : [target, more];
    const session = this.#sessions.get(name) ?? new Session(this.#sessionHost, name, url, options);
    this.#sessions.set(name, session);
    const { core } = session;
    const reopen = () => this.open(name, url, options);
    if (core.parting) return core.parting.then(reopen, reopen);
    if (core.opened && (url ?? options) === undefined) return Promise.resolve(session);
    const opened = core.open(url, options).then(() => session);
    if (this.#port.state === "ready") void core.attach();
    return opened;
  }

  /** The broker's counters. */
  status(): Promise<StatusAnswer> {
    return this.#requests.ask("status", { type: "status", id: this.#nextId() });
  }

  /** Round-trip time to the broker in milliseconds. */
  async ping(): Promise<number> {
    const since = this.#clock.now();
    await this.#requests.ask("pong", { type: "ping", id: this.#nextId() });
    return this.#clock.now() - since;
  }

  /** Opens the port if there is none. Needed only for a retry after `failed`. */
  connect(): void {
    this.#touch();
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
  }

  /** Closes the port and keeps it closed until the next request. The sessions continue in the broker. */
  async disconnect(): Promise<void> {
    await Promise.all(this.sessions.map(({ core }) => core.delivery.flush()));
    this.#clock.clearTimeout(this.#idleTimer);
    for (const { core } of this.sessions) core.lost();
    this.#port.rest();
  }

  /** @deprecated The name of `connect()` until 0.1. */
  wake(): void {
    this.connect();
  }

  /** @deprecated The name of `disconnect()` until 0.1. */
  rest(): Promise<void> {
    return this.disconnect();
  }

  /** @internal Closes the port permanently: its page is closed. */
  async end(): Promise<void> {
    this.#ended = true;
    leaveLifecycle(this.#api, this);
    await this.disconnect();
    this.#sessions.clear();
  }

  /**
   * Waits until handlers have finished, acknowledges, and passes sent messages to the broker; 5 s at most. Call it
   * before this worker ends.
   */
  async drain(): Promise<void> {
    const done = Promise.all(this.sessions.map(({ core }) => core.delivery.drain())).then(async () => {
      while (!this.sessions.every(({ core }) => core.outgoing.handedOver)) {
        await sleep(this.#clock, 50);
      }
    });
    await Promise.race([done, sleep(this.#clock, DRAIN)]);
  }

  #nextId(): string {
    this.#count += 1;
    return `${this.#prefix}.${this.#count}`;
  }

  async #start(): Promise<void> {
    // Where native messaging is missing, storage may be missing too: the port reports the cause.
    if (!this.#identity && (this.#api.runtime.connectNative || this.#options.fallback)) {
      try {
        const profile = await this.#memory.profile(this.#options.profile);
        this.#identity = { profile, instance: await this.#memory.instance() };
      } catch {
        const text = "there is no storage for the profile's id";
        this.#failed(local("storage-missing", text, "action", this.#context));
        return;
      }
    }
    if (!this.#ended) this.#port.start();
  }

  #hello(): Hello {
    return {
      type: "hello",
      protocol: PROTOCOL,
      ...this.#identity,
      client: this.#options.client,
      sdk: SDK,
      needs: this.#options.needs,
      accepts: ["messages"],
    };
  }

  #ready(welcome: Welcome): void {
    this.#welcome = welcome;
    const { hostError } = this.#port;
    const failure = this.#failure;
    this.#failure = hostError;
    const before = this.#mode;
    this.#mode = hostError ? "browser" : "host";
    if (this.#mode !== before) this.#callbacks.emit("mode", this.#mode, hostError);
    if (!hostError && failure && NOT_INSTALLED.test(failure.code)) this.#callbacks.emit("installed", welcome);
    this.#requests.attached();
    for (const { core } of this.sessions) void core.attach();
    this.#touch();
  }

  #post(frame: ToBroker): void {
    this.#touch();
    this.#port.post(frame);
  }

  #take(frame: ToExtension): void {
    this.#touch();
    // Without an id no request is found.
    const { id, session } = frame as { id: string; session?: string };
    if (frame.type === "status") this.#requests.answered("status", frame);
    else if (frame.type === "pong") this.#requests.answered("pong", frame);
    else if (frame.type === "goaway") {
      this.#callbacks.emit("goaway", frame);
    } else if (session !== undefined) {
      this.#sessions.get(session)?.core.take(frame);
    } else {
      // An answer that names its id only.
      const owner = this.sessions.find(({ core }) => core.awaits(id));
      if (owner) owner.core.take(frame);
      else if (frame.type === "error") {
        const error = fromWire(frame);
        if (!this.#requests.refused(id, error)) this.#report(error);
      }
    }
  }

  #lost(error: LongwireError): void {
    for (const { core } of this.sessions) core.lost();
    // The host could not start a broker. Calls that wait for a first answer reject; other sessions wait.
    const waiting = error.code === "broker-unreachable" ? this.sessions.filter(({ opened }) => !opened) : [];
    this.#unreachable(error, waiting, 0);
  }

  #failed(error: LongwireError): void {
    this.#unreachable(error, this.sessions, this.#requests.unreachable(error));
  }

  /** Reports once that there is no broker: to the listener, else to the calls that are rejected, else on the console. */
  #unreachable(error: LongwireError, sessions: readonly Session[], questions: number): void {
    const final = error.retry === "no" || UNTIL_RELOAD.test(error.code);
    const hasListener = !final && this.#callbacks.has("error");
    let rejected = questions;
    for (const session of sessions) {
      const waits = !final && !session.opened && (session.core.waitsForHost ?? hasListener);
      if (!waits) rejected += session.core.unreachable(error);
    }
    if (this.#port.missing) {
      this.#clock.clearTimeout(this.#searchTimer);
      this.#searchTimer = this.#clock.setTimeout(() => this.wanted && this.connect(), RETRY_MISSING);
    }
    const repeated = this.#failure?.code === error.code;
    this.#failure = error;
    if (!repeated && (hasListener || rejected === 0)) this.#report(error);
  }

  #report(error: LongwireError): void {
    if (this.#callbacks.has("error")) {
      // Calls that reject with the same error do not log it again.
      isNew(error);
      this.#callbacks.emit("error", error as AnyLongwireError);
    } else report(error);
  }

  #storageFailed(cause: unknown): void {
    const reason = String((cause as Error)?.message ?? cause);
    const what = /quota/i.test(reason) ? "is full (QUOTA_BYTES)" : "failed";
    const text = `chrome.storage ${what}: the next worker may not find its sessions`;
    this.#report(local("storage-failed", text, "action", this.#context, reason));
  }

  /** Restarts the idle timer: with `keepAlive: "alarms"` the port is closed after a time without traffic. */
  #touch(): void {
    if (!this.#closesWhenIdle) return;
    this.#clock.clearTimeout(this.#idleTimer);
    this.#idleTimer = this.#clock.setTimeout(() => {
      const quiet = this.#requests.quiet && this.sessions.every(({ core }) => core.quiet);
      if (quiet && this.#port.state === "ready") void this.disconnect();
      else this.#touch();
    }, IDLE);
  }
}
