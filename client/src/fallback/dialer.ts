// The connection of one session: dial, backoff, credentials, login, failure. It stores no messages.

import type { Clock } from "../browser-api.js";
import type { Credentials, LinkState, OpenOptions } from "../wire.js";
import { backoff, closeAction, spread } from "./close-action.js";
import type { DialerHost, Question, StateFields } from "./dialer-host.js";
import { Heartbeat } from "./heartbeat.js";
import {
  type BrowserNetwork,
  type Incoming,
  type Link,
  type LinkEnd,
  type LinkEvents,
  linkError,
  type Reply,
  type SentAs,
  type Target,
} from "./link.js";
import { Login, type LoginAction } from "./login.js";
import { openLink } from "./open-link.js";
import { protocolsOf } from "./options.js";
import { type Content, matches, Readable } from "./rules.js";
import { TransportChoice } from "./transports.js";

const CONNECT_TIMEOUT = 15_000;
const READY_TIMEOUT = 10_000;
const STABLE_AFTER = 30_000;
/** Milliseconds that a connection must have been open to prove that its credentials were valid. */
const PROVEN_AFTER = 10_000;
/** Milliseconds that the provider has to answer. */
export const AUTHORIZE_TIMEOUT = 60_000;
/** Milliseconds between attempts with the best transport while another one is in use, and after one that had to wait. */
const PROBE = { interval: 300_000, again: 10_000 };

/** The connection of one session. */
export class Dialer {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #host: DialerHost;
  #url: string;
  #options: OpenOptions;
  /** By the index of their transport. */
  #targets: Target[] = [];
  #choice = new TransportChoice();
  #state: LinkState = "connecting";
  #link: Link | undefined;
  #heartbeat: Heartbeat | undefined;
  #login = new Login();
  #question: Question | undefined;
  #isReady = false;
  #dials = 0;
  #attempt = 0;
  #refusals = 0;
  #wasOpen = false;
  #openedAt = 0;
  #isOver = false;
  #timer: unknown;
  #stableTimer: unknown;
  #probeTimer: unknown;

  /** `options` has what a preset stands for. */
  constructor(network: BrowserNetwork, clock: Clock, url: string, options: OpenOptions, host: DialerHost) {
    this.#network = network;
    this.#clock = clock;
    this.#host = host;
    this.#url = url;
    this.#options = options;
  }

  get state(): LinkState {
    return this.#state;
  }

  get dials(): number {
    return this.#dials;
  }

  /** What the provider was asked and has not answered. */
  get question(): Question | undefined {
    return this.#question;
  }

  /** Whether the connection is ready for messages. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether messages may be sent now. */
  get canSend(): boolean {
    return this.#isReady && (this.#link?.hasRoom ?? false);
  }

  /** Whether there is a connection, or one is being made. */
  get isBusy(): boolean {
    return this.#link !== undefined;
  }

  /** `acknowledge`: the server shall acknowledge it. */
  send(content: Content, done: (how: SentAs) => void = () => undefined, acknowledge = false): void {
    if (content.event !== undefined && this.#target.protocol !== "socket.io") {
      // It was accepted when the options, or the transport, were others.
      done({ failed: linkError("not-sent", "this connection's protocol has no events", "no") });
      return;
    }
    this.#link?.send(
      content,
      (how) => {
        done(how);
        if (typeof how === "object" && "end" in how) this.#drop(how.end);
      },
      acknowledge,
    );
  }

  /** Starts dialling, or restarts with another URL or other options. */
  start(url?: string, options?: OpenOptions): void {
    if (url !== undefined || options) {
      this.#url = url ?? this.#url;
      this.#options = options ?? this.#options;
      this.#choice = new TransportChoice();
      this.#targets = [];
    }
    this.#attempt = 0;
    this.#refusals = 0;
    this.#leave();
    if (this.#options.auth === "provider") this.#ask({ why: "first", attempt: 1 });
    else this.#dial();
  }

  /** Other options that do not change the dial. */
  set options(options: OpenOptions) {
    this.#options = options;
  }

  authorize(credentials: Credentials): void {
    const { url, subprotocols, headers, auth } = credentials;
    const wasAsked = this.#question !== undefined;
    this.#question = undefined;
    if (auth !== undefined) this.#target.auth = auth;
    if (this.#login.isAsking) {
      this.#act(this.#login.answered(this.#target.auth));
      return;
    }
    Object.assign(this.#target, url && { url }, subprotocols && { subprotocols }, headers && { headers });
    // What the server remembers of the connection belongs to other credentials.
    if (!wasAsked) this.#target.recovery = new Map();
    this.#leave();
    this.#dial();
  }

  /** The provider has no credentials. */
  noCredentials(why: string): void {
    if (this.#login.isAsking) this.#act({ fault: why });
    else {
      this.#question = undefined;
      this.#enter("failed", { error: linkError("cancelled", `no credentials: ${why}`, "auth") });
    }
  }

  /** Closes the connection gracefully; `lost` follows. Returns whether there was one. */
  close(code?: number, reason?: string): boolean {
    if (!this.#isOpen) return false;
    this.#link?.close(code, reason);
    return true;
  }

  /** Drops the connection and stops dialling. */
  stop(state: LinkState, fields: StateFields = {}): void {
    this.#leave();
    this.#enter(state, fields);
  }

  /** Stops for good, without a state record. */
  end(): void {
    this.#isOver = true;
    this.#hangUp();
  }

  /** Where the transport that is chosen leads. */
  get #target(): Target {
    const { index } = this.#choice;
    const held = this.#targets[index] ?? target(this.#url, this.#options, index);
    this.#targets[index] = held;
    return held;
  }

  get #isOpen(): boolean {
    return this.#state === "open";
  }

  #enter(state: LinkState, fields: StateFields = {}): void {
    this.#state = state;
    this.#host.state(state, fields);
  }

  /** Drops the connection for another one: what was written on it and is not proven has ended, or waits again. */
  #leave(): void {
    const link = this.#link;
    this.#hangUp();
    if (link) this.#host.lost({});
  }

  #hangUp(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#clock.clearTimeout(this.#stableTimer);
    this.#clock.clearTimeout(this.#probeTimer);
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    this.#login = new Login();
    this.#question = undefined;
    this.#isReady = false;
    this.#link?.abort();
    this.#link = undefined;
  }

  #ask(question: Question): void {
    const { why, status } = question;
    this.#question = question;
    if (why !== "login") this.#enter("unauthorized", status === undefined ? {} : { status });
    this.#host.askCredentials(question);
  }

  // ---- dialling ----

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
      message: (message, reply) => this.#message(message, reply),
      room: () => own() && this.#isReady && this.#host.room(),
      alive: () => this.#heartbeat?.alive(),
      namespace: (change) => this.#host.namespace(change),
      ended: (end) => own() && this.#drop(end),
    };
    const link = openLink(this.#network, this.#clock, this.#target, events);
    return link;
  }

  #opened({ subprotocol, extensions, continuity }: Parameters<LinkEvents["opened"]>[0]): void {
    this.#clock.clearTimeout(this.#timer);
    const again = this.#wasOpen;
    this.#wasOpen = true;
    const { transports, reconnect, heartbeat, ready, login, greeting = [] } = this.#options;
    this.#choice.opened();
    this.#watchForBetter(PROBE.interval);
    const { stableAfter = STABLE_AFTER } = reconnect || {};
    this.#openedAt = this.#clock.now();
    this.#stableTimer = this.#clock.setTimeout(() => {
      this.#attempt = 0;
    }, stableAfter);
    this.#heartbeat = new Heartbeat(
      heartbeat,
      this.#target.protocol,
      this.#clock,
      (content) => this.send(content),
      () => this.#drop({ error: linkError("heartbeat", "the server was silent for too long") }),
    );
    this.#login = new Login(login);
    if (ready) this.#expectReady(READY_TIMEOUT);
    this.#enter("open", {
      dial: this.#dials,
      ...(again ? { continuity: continuity ?? "none" } : {}),
      ...(subprotocol ? { subprotocol } : {}),
      ...(extensions ? { extensions } : {}),
      ...(transports?.length ? { transport: this.#target.protocol } : {}),
    });
    for (const content of greeting) this.send(content);
    if (!ready) this.#becomeReady();
  }

  #expectReady(timeout: number): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => {
      this.#drop({ error: linkError("timeout", "the server did not satisfy the `ready` rule in time") });
    }, timeout);
  }

  #becomeReady(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#isReady = true;
    this.#host.ready();
  }

  /** Tries the best transport again in a while, if another one is in use. */
  #watchForBetter(delay: number): void {
    if (this.#choice.index === 0) return;
    this.#probeTimer = this.#clock.setTimeout(() => {
      if (!this.#host.isIdle()) this.#watchForBetter(PROBE.again);
      else {
        this.#choice.probeBest();
        this.#leave();
        this.#dial();
      }
    }, delay);
  }

  // ---- the server's messages ----

  #message(message: Incoming, reply: Reply | undefined): void {
    const read = new Readable(message, this.#options.format);
    this.#heartbeat?.alive();
    this.#heartbeat?.adjust(read);
    const { ready } = this.#options;
    const awaits = ready !== undefined && !this.#isReady && this.#isOpen;
    const action = awaits ? this.#login.onMessage(read, this.#target.auth) : undefined;
    const isFatal = action !== undefined && ("refused" in action || "fault" in action);
    if (!isFatal) this.#act(action);
    if (awaits && !isFatal && matches(ready, read)) this.#becomeReady();
    if (!this.#heartbeat?.onMessage(read)) this.#host.message(message, read, reply);
    if (isFatal) this.#act(action);
  }

  /** Does what a step of the login asks for. */
  #act(action: LoginAction | undefined): void {
    if (!action) return;
    if ("send" in action) for (const content of action.send) this.send(content);
    else if ("ask" in action) {
      this.#expectReady(AUTHORIZE_TIMEOUT + READY_TIMEOUT);
      this.#ask({ why: "login", attempt: this.#refusals + 1, values: action.ask });
    } else if ("refused" in action) {
      this.#drop({ action: "auth", error: linkError("handshake", "the server refused the login") });
    } else {
      this.#drop({ action: "stop", error: linkError("handshake", `the login failed: ${action.fault}`) });
    }
  }

  // ---- the end of a connection ----

  /** The connection is over, or could not be made. */
  #drop(end: LinkEnd): void {
    const wasOpen = this.#isOpen;
    if (wasOpen && this.#clock.now() - this.#openedAt >= PROVEN_AFTER) this.#refusals = 0;
    this.#hangUp();
    this.#host.lost(end);
    if (this.#isOver) return;
    const action = closeAction(end, this.#options);
    const { code, reason, status, error, data } = end;
    const fields: StateFields = {
      ...(code === undefined ? {} : { code }),
      ...(reason ? { reason } : {}),
      ...(status === undefined ? {} : { status }),
      ...(error ? { error } : {}),
      ...(data === undefined ? {} : { data }),
    };
    const count = this.#options.transports?.length ?? 0;
    const mayChange = !wasOpen && count > 1 && action !== "auth";
    if (mayChange && this.#choice.failed(count)) {
      this.#enter("waiting", fields);
      this.#dial();
    } else if (this.#options.reconnect === false || action === "closed") this.#enter("closed", fields);
    else if (action === "auth") this.#refused(fields);
    else if (action === "stop" && !mayChange) this.#fail(fields);
    else this.#wait(fields, end);
  }

  #fail(fields: StateFields): void {
    const error = linkError("closed-by-server", "the server ended the connection", "no");
    this.#enter("failed", { error, ...fields });
  }

  #refused(fields: StateFields): void {
    this.#refusals += 1;
    const { status, ...rest } = fields;
    if (this.#options.auth === "provider" && this.#refusals < 2) {
      this.#question = {
        why: "refused",
        attempt: this.#refusals + 1,
        ...(status === undefined ? {} : { status }),
      };
      this.#enter("unauthorized", fields);
      this.#host.askCredentials(this.#question);
    } else {
      const error = linkError("handshake", "the server refused the credentials", "auth");
      this.#enter("failed", { error, ...rest, ...(status === undefined ? {} : { status }) });
    }
  }

  #wait(fields: StateFields, end: LinkEnd): void {
    this.#attempt += 1;
    const { reconnect, auth } = this.#options;
    const { maxAttempts } = reconnect || {};
    if (this.#wasOpen && this.#attempt > (maxAttempts ?? Number.POSITIVE_INFINITY)) {
      this.#fail(fields);
      return;
    }
    const least = Math.max(end.retryAfter ?? 0, this.#target.leastDelay ?? 0);
    const delay = backoff(reconnect, this.#attempt, this.#clock.random());
    const retryIn = Math.max(delay, least) + spread(end, this.#clock.random());
    this.#enter("waiting", { ...fields, attempt: this.#attempt, retryIn });
    if (this.#host.movesToHost()) return;
    this.#timer = this.#clock.setTimeout(() => {
      // The browser does not say whether a handshake was refused: what the provider gave may have expired.
      const mayBeRefusal = auth === "provider" && fields.error?.code === "unreachable";
      if (mayBeRefusal) this.#ask({ why: "refused", attempt: this.#refusals + 1 });
      else this.#dial();
    }, retryIn);
  }
}

function target(url: string, options: OpenOptions, index: number): Target {
  const { subprotocols = [], headers = {}, urls } = options;
  const protocol = protocolsOf(options)[index] ?? "websocket";
  return { protocol, url: urls?.[protocol] ?? url, subprotocols: [...subprotocols], headers, options };
}
