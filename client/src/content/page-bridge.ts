// The page's port to the worker: opens it, opens it again when the worker has stopped, and routes the sessions' messages.

import { type Clock, type ExtensionApi, type PagePort, systemClock } from "../browser-api.js";
import { type AnyLongwireError, LongwireError } from "../errors.js";
import { Callbacks, isNew, report, type Unsubscribe } from "../events.js";
import type { Sendable } from "../payload.js";
import { type FromPage, PORT_NAME, type ToPage } from "../relay/messages.js";
import { fromPlain } from "./errors.js";
import { type PageOpenOptions, PageSession } from "./page-session.js";

/** The state of the page's port to the worker. `failed` is permanent. */
export type PageState = "idle" | "connecting" | "ready" | "failed";

/** The events of a page's bridge. */
export interface PageBridgeEvents {
  state: [state: PageState];
  /**
   * The worker cannot be reached, refuses this page, or reports an error. Without a listener it is logged to the
   * console.
   */
  error: [error: AnyLongwireError];
}

/** Milliseconds until a lost port is opened again: the first wait, and the longest. */
const BACKOFF = { first: 100, longest: 30_000 };
/** Attempts in a row without an answer after which that is reported. */
const REPORT_AFTER = 5;

/** A page's connection to the extension's worker. Get one with `connect` of `longwire/content`. */
export class PageBridge {
  readonly #api: ExtensionApi;
  readonly #clock: Clock;
  readonly #id = crypto.randomUUID();
  readonly #sessions = new Map<string, PageSession>();
  readonly #callbacks = new Callbacks<PageBridgeEvents>();
  #port: PagePort | undefined;
  #state: PageState = "idle";
  #failure: LongwireError | undefined;
  #attempts = 0;
  #timer: unknown;

  /** @internal */
  constructor(api: ExtensionApi, clock: Clock = systemClock) {
    this.#api = api;
    this.#clock = clock;
    // A page restored from the back-forward cache has lost its port, possibly without an event.
    (globalThis as { addEventListener?: Window["addEventListener"] }).addEventListener?.(
      "pageshow",
      (event) => {
        if (event.persisted && this.#sessions.size > 0) this.#again();
      },
    );
  }

  /** The state of the port. */
  get state(): PageState {
    return this.#state;
  }

  /** The sessions that this page has open. */
  get sessions(): readonly PageSession[] {
    return [...this.#sessions.values()];
  }

  /** Adds a callback; returns a function that removes it. */
  on<Name extends keyof PageBridgeEvents>(
    name: Name,
    call: (...args: PageBridgeEvents[Name]) => unknown,
  ): Unsubscribe {
    return this.#callbacks.on(name, call);
  }

  /**
   * Opens a session that the worker has opened and that `relay` allows. It waits while the worker or the native host
   * cannot be reached; rejects with `relay-refused`, `no-session`, or the broker's error.
   */
  open<Incoming = unknown, Sent extends Sendable = Sendable>(
    name: string,
    options: PageOpenOptions = {},
  ): Promise<PageSession<Incoming, Sent>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const session =
      this.#sessions.get(name) ??
      new PageSession(name, options, {
        clock: this.#clock,
        post: (message) => this.#post(message),
        left: () => {
          this.#sessions.delete(name);
        },
      });
    const known = this.#sessions.has(name);
    this.#sessions.set(name, session);
    if (!known && this.#state === "ready") session.attach();
    else if (this.#state === "idle") this.#connect();
    return session.whenOpen() as Promise<PageSession<Incoming, Sent>>;
  }

  /** Closes the port and detaches the page's sessions; they continue in the worker and the broker. */
  disconnect(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#drop()?.disconnect();
    this.#enter("idle");
    const error = new LongwireError("session-closed", "longwire: this page has disconnected");
    for (const session of this.sessions) session.end("left", error);
  }

  // ---- the port ----

  #connect(): void {
    this.#enter("connecting");
    const { runtime } = this.#api;
    let port: PagePort;
    try {
      // In a content script of a removed extension there is no id, or `connect` throws.
      if (!runtime.id || !runtime.connect) throw new Error("Extension context invalidated.");
      port = runtime.connect({ name: PORT_NAME + this.#id });
    } catch (error) {
      this.#removed(error as Error);
      return;
    }
    this.#port = port;
    port.onMessage.addListener((message) => {
      if (this.#port === port) this.#take(message as ToPage);
    });
    port.onDisconnect.addListener(() => {
      // Chromium logs an error that is not read.
      void runtime.lastError;
      if (this.#port === port) this.#lost();
    });
  }

  #again(): void {
    if (this.#failure) return;
    this.#clock.clearTimeout(this.#timer);
    this.#drop()?.disconnect();
    this.#connect();
  }

  #lost(): void {
    this.#drop();
    this.#enter("connecting");
    this.#attempts += 1;
    if (this.#attempts === REPORT_AFTER) {
      const text = "longwire: the worker does not answer: it must call relay() at its top level";
      this.#report(new LongwireError("relay-missing", text, { retry: "later" }));
    }
    const wait = Math.min(BACKOFF.first * 2 ** (this.#attempts - 1), BACKOFF.longest);
    this.#timer = this.#clock.setTimeout(() => this.#connect(), (wait / 2) * (1 + this.#clock.random()));
  }

  #drop(): PagePort | undefined {
    const port = this.#port;
    this.#port = undefined;
    for (const session of this.sessions) session.lost();
    return port;
  }

  #removed({ message }: Error): void {
    const text = "longwire: the extension was reloaded, updated or removed; reload this page";
    this.#fail(new LongwireError("extension-gone", text, { retry: "action", originalMessage: message }));
  }

  /** For good. */
  #fail(error: LongwireError): void {
    this.#failure = error;
    this.#drop();
    this.#enter("failed");
    const sessions = this.sessions;
    const waiting = sessions.filter((session) => session.waiting).length;
    for (const session of sessions) session.end("refused", error);
    if (waiting === 0 || this.#callbacks.has("error")) this.#report(error);
  }

  #enter(state: PageState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#callbacks.emit("state", state);
  }

  #report(error: LongwireError): void {
    if (this.#callbacks.has("error")) {
      isNew(error);
      this.#callbacks.emit("error", error as AnyLongwireError);
    } else report(error);
  }

  // ---- messages ----

  #post(message: FromPage): void {
    if (this.#state === "ready") this.#port?.postMessage(message);
  }

  #take(message: ToPage): void {
    switch (message.type) {
      case "ready":
        this.#attempts = 0;
        this.#enter("ready");
        for (const session of this.sessions) session.attach();
        break;
      case "refused":
        this.#fail(fromPlain(message.error));
        break;
      case "error":
        this.#report(fromPlain(message.error));
        break;
      default:
        this.#sessions.get(message.session)?.take(message);
    }
  }
}
