// The connection of one session: dial, backoff, credentials, failure. It stores no messages.

import type { Clock } from "../browser-api.js";
import type { Credentials, LinkState, OpenOptions, Payload, State } from "../wire.js";
import { backoff, closeAction } from "./close-action.js";
import { Heartbeat } from "./heartbeat.js";
import {
  type BrowserNetwork,
  type Incoming,
  type Link,
  type LinkEnd,
  type LinkEvents,
  linkError,
  type SentAs,
  type Target,
} from "./link.js";
import { PollLink } from "./poll-link.js";
import { matches, type Readable, readable } from "./rules.js";
import { StreamLink } from "./stream-link.js";
import { WebSocketLink } from "./websocket-link.js";

/** The fields of a state record beside `state`. */
export type StateFields = Partial<Omit<State, "type" | "session" | "seq" | "state">>;

/** Callbacks of the dialer. */
export interface DialerHost {
  state(state: LinkState, fields: StateFields): void;
  message(message: Incoming, read: Readable): void;
  /** Subscriptions and the outbox may be sent. */
  ready(): void;
  room(): void;
  /** The connection ended; messages in flight on it have no other outcome. */
  lost(end: LinkEnd): void;
  askCredentials(why: string, attempt: number, status: number | undefined): void;
  /** Whether the session moves to the host instead of dialling again. */
  movesToHost(): boolean;
}

const CONNECT_TIMEOUT = 15_000;
const READY_TIMEOUT = 10_000;
const STABLE_AFTER = 30_000;

/** The connection of one session. */
export class Dialer {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #host: DialerHost;
  #target: Target;
  #options: OpenOptions;
  #state: LinkState = "connecting";
  #link: Link | undefined;
  #heartbeat: Heartbeat | undefined;
  #isReady = false;
  #dials = 0;
  #attempt = 0;
  #refusals = 0;
  #wasOpen = false;
  #isOver = false;
  #timer: unknown;
  #stableTimer: unknown;

  constructor(network: BrowserNetwork, clock: Clock, url: string, options: OpenOptions, host: DialerHost) {
    this.#network = network;
    this.#clock = clock;
    this.#host = host;
    this.#options = options;
    this.#target = target(url, options);
  }

  get state(): LinkState {
    return this.#state;
  }

  get dials(): number {
    return this.#dials;
  }

  /** Whether messages may be sent now. */
  get canSend(): boolean {
    return this.#isReady && (this.#link?.hasRoom ?? false);
  }

  /** Whether there is a connection, or one is being made. */
  get isBusy(): boolean {
    return this.#link !== undefined;
  }

  send(payload: Payload, done: (how: SentAs) => void): void {
    this.#link?.send(payload, (how) => {
      done(how);
      if (typeof how === "object") this.#drop(how.end);
    });
  }

  /** Starts dialling, or restarts with another URL or other options. */
  start(url?: string, options?: OpenOptions): void {
    if (url !== undefined || options) {
      this.#options = options ?? this.#options;
      this.#target = target(url ?? this.#target.url, this.#options);
    }
    this.#attempt = 0;
    this.#refusals = 0;
    this.#hangUp();
    if (this.#options.auth === "provider") this.#ask("start", undefined);
    else this.#dial();
  }

  authorize(credentials: Credentials): void {
    const { url, subprotocols, headers } = credentials;
    Object.assign(this.#target, url && { url }, subprotocols && { subprotocols }, headers && { headers });
    this.#hangUp();
    this.#dial();
  }

  /** The provider has no credentials. */
  noCredentials(why: string): void {
    this.#enter("failed", { error: linkError("cancelled", `no credentials: ${why}`, "auth") });
  }

  /** Closes the connection gracefully; `lost` follows. Returns whether there was one. */
  close(code?: number, reason?: string): boolean {
    if (!this.#isOpen) return false;
    this.#link?.close(code, reason);
    return true;
  }

  /** Drops the connection and stops dialling. */
  stop(state: LinkState, fields: StateFields = {}): void {
    const link = this.#link;
    this.#hangUp();
    if (link) this.#host.lost({});
    this.#enter(state, fields);
  }

  /** Stops for good, without a state record. */
  end(): void {
    this.#isOver = true;
    this.#hangUp();
  }

  get #isOpen(): boolean {
    return this.#state === "open";
  }

  #enter(state: LinkState, fields: StateFields = {}): void {
    this.#state = state;
    this.#host.state(state, fields);
  }

  #hangUp(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#clock.clearTimeout(this.#stableTimer);
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    this.#isReady = false;
    this.#link?.abort();
    this.#link = undefined;
  }

  #ask(why: string, status: number | undefined): void {
    this.#enter("unauthorized", status === undefined ? {} : { status });
    this.#host.askCredentials(why, this.#refusals + 1, status);
  }

  #dial(): void {
    if (this.#host.movesToHost()) return;
    this.#dials += 1;
    this.#enter("connecting", { dial: this.#dials, ...(this.#attempt ? { attempt: this.#attempt } : {}) });
    const timeout = this.#options.connectTimeout ?? CONNECT_TIMEOUT;
    this.#timer = this.#clock.setTimeout(() => {
      this.#drop({ error: linkError("timeout", `no connection within ${timeout} ms`) });
    }, timeout);
    try {
      this.#link = this.#connect();
    } catch (error) {
      this.#drop({ action: "stop", error: linkError("bad-url", String((error as Error)?.message), "no") });
    }
  }

  #connect(): Link {
    const own = (): boolean => this.#link === link;
    const events: LinkEvents = {
      opened: (more) => this.#opened(more),
      message: (message) => this.#message(message),
      room: () => own() && this.#isReady && this.#host.room(),
      ended: (end) => own() && this.#drop(end),
    };
    const { protocol } = this.#options;
    const link: Link =
      protocol === "sse"
        ? new StreamLink(this.#network, this.#target, events)
        : protocol === "poll"
          ? new PollLink(this.#network, this.#clock, this.#target, events)
          : new WebSocketLink(this.#network, this.#clock, this.#target, events);
    return link;
  }

  #opened({ subprotocol, extensions, continuity }: Parameters<LinkEvents["opened"]>[0]): void {
    this.#clock.clearTimeout(this.#timer);
    const again = this.#wasOpen;
    this.#wasOpen = true;
    this.#refusals = 0;
    const { stableAfter = STABLE_AFTER } = this.#options.reconnect || {};
    this.#stableTimer = this.#clock.setTimeout(() => {
      this.#attempt = 0;
    }, stableAfter);
    this.#enter("open", {
      dial: this.#dials,
      ...(again ? { continuity: continuity ?? "none" } : {}),
      ...(subprotocol ? { subprotocol } : {}),
      ...(extensions ? { extensions } : {}),
    });
    const link = this.#link;
    this.#heartbeat = new Heartbeat(
      this.#options.heartbeat,
      this.#clock,
      (payload) => this.#link?.send(payload, () => undefined),
      () => this.#drop({ error: linkError("heartbeat", "the server was silent for too long") }),
    );
    for (const payload of this.#options.greeting ?? []) link?.send(payload as Payload, () => undefined);
    if (!this.#options.ready) this.#becomeReady();
    else {
      this.#timer = this.#clock.setTimeout(() => {
        this.#drop({ error: linkError("handshake", "the server did not satisfy `ready` in time") });
      }, READY_TIMEOUT);
    }
  }

  #becomeReady(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#isReady = true;
    this.#host.ready();
  }

  #message(message: Incoming): void {
    const read = readable(message);
    if (this.#heartbeat?.onMessage(read)) return;
    this.#host.message(message, read);
    const { ready } = this.#options;
    if (ready && !this.#isReady && this.#isOpen && matches(ready, read)) this.#becomeReady();
  }

  /** The connection is over, or could not be made. */
  #drop(end: LinkEnd): void {
    this.#hangUp();
    this.#host.lost(end);
    if (this.#isOver) return;
    const action = closeAction(end, this.#options);
    const { code, reason, status, error } = end;
    const fields: StateFields = {
      ...(code === undefined ? {} : { code }),
      ...(reason ? { reason } : {}),
      ...(status === undefined ? {} : { status }),
      ...(error ? { error } : {}),
    };
    if (this.#options.reconnect === false || action === "closed") this.#enter("closed", fields);
    else if (action === "auth") this.#refused(fields);
    else if (action === "stop") this.#fail(fields);
    else this.#wait(fields, end.retryAfter ?? 0, error?.code === "unreachable");
  }

  #fail(fields: StateFields): void {
    const error = linkError("closed-by-server", "the server ended the connection", "no");
    this.#enter("failed", { error, ...fields });
  }

  #refused(fields: StateFields): void {
    this.#refusals += 1;
    if (this.#options.auth === "provider" && this.#refusals < 2) this.#ask("refused", fields.status);
    else
      this.#fail({
        error: linkError("handshake", "the server refused the credentials", "auth"),
        ...fields,
      });
  }

  #wait(fields: StateFields, least: number, mayBeRefusal: boolean): void {
    this.#attempt += 1;
    const { reconnect } = this.#options;
    const { maxAttempts } = reconnect || {};
    if (this.#wasOpen && this.#attempt > (maxAttempts ?? Number.POSITIVE_INFINITY)) {
      this.#fail(fields);
      return;
    }
    const spread = backoff(reconnect, this.#attempt, this.#clock.random());
    const retryIn = Math.max(spread, least, this.#target.leastDelay ?? 0);
    this.#enter("waiting", { ...fields, attempt: this.#attempt, retryIn });
    if (this.#host.movesToHost()) return;
    this.#timer = this.#clock.setTimeout(() => {
      // The browser does not say whether a handshake was refused: what the provider gave may have expired.
      if (mayBeRefusal && this.#options.auth === "provider") this.#ask("refused", undefined);
      else this.#dial();
    }, retryIn);
  }
}

function target(url: string, options: OpenOptions): Target {
  const { subprotocols = [], headers = {} } = options;
  return { url, subprotocols: [...subprotocols], headers, options };
}
