// The connection of one session: dial, backoff, credentials, login, failure. It stores no messages.

import type { Clock } from "../browser-api.js";
import type { Credentials, LinkState, OpenOptions } from "../wire.js";
import { Attempts } from "./attempts.js";
import { closeAction, spread } from "./close-action.js";
import type { CredentialsRequest, DialerHost, StateFields } from "./dialer-host.js";
import { present } from "./from-broker.js";
import { Heartbeat } from "./heartbeat.js";
import {
  type BrowserNetwork,
  type Incoming,
  type Link,
  type LinkEnd,
  type LinkEvents,
  linkError,
  type SendReply,
  type SentAs,
  type Target,
} from "./link.js";
import { Login, type LoginAction } from "./login.js";
import { openLink } from "./open-link.js";
import { type MessageContent, matches, Readable } from "./rules.js";
import { TransportChoice } from "./transports.js";

const CONNECT_TIMEOUT = 15_000;
const READY_TIMEOUT = 10_000;
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
  readonly #attempts: Attempts;
  #transports = new TransportChoice();
  #state: LinkState = "connecting";
  #link: Link | undefined;
  #heartbeat: Heartbeat | undefined;
  #login = new Login();
  #question: CredentialsRequest | undefined;
  #isReady = false;
  #dials = 0;
  #isOver = false;
  #timer: unknown;
  #probeTimer: unknown;

  /** `options` includes those of the preset. */
  constructor(network: BrowserNetwork, clock: Clock, url: string, options: OpenOptions, host: DialerHost) {
    this.#network = network;
    this.#clock = clock;
    this.#host = host;
    this.#url = url;
    this.#options = options;
    this.#attempts = new Attempts(clock);
  }

  get state(): LinkState {
    return this.#state;
  }

  get dials(): number {
    return this.#dials;
  }

  /** The request for credentials that the provider has not answered. */
  get question(): CredentialsRequest | undefined {
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
  send(content: MessageContent, done: (how: SentAs) => void = () => undefined, acknowledge = false): void {
    if (content.event !== undefined && this.#target.protocol !== "socket.io") {
      // The message was accepted with other options, or with another transport.
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
      this.#transports = new TransportChoice();
    }
    this.#attempts.reset();
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
    // The server's recovery state belongs to the previous credentials.
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

  /** The target of the chosen transport. */
  get #target(): Target {
    return this.#transports.target(this.#url, this.#options);
  }

  get #isOpen(): boolean {
    return this.#state === "open";
  }

  #enter(state: LinkState, fields: StateFields = {}): void {
    this.#state = state;
    this.#host.state(state, fields);
  }

  /** Drops the connection for another one: messages written on it without an outcome end, or wait again. */
  #leave(): void {
    const link = this.#link;
    this.#hangUp();
    if (link) this.#host.lost({});
  }

  #hangUp(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#attempts.stop();
    this.#clock.clearTimeout(this.#probeTimer);
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    this.#login = new Login();
    this.#question = undefined;
    this.#isReady = false;
    this.#link?.abort();
    this.#link = undefined;
  }

  #ask(question: CredentialsRequest): void {
    const { why, status } = question;
    this.#question = question;
    if (why !== "login") this.#enter("unauthorized", { status });
    this.#host.askCredentials(question);
  }

  // ---- dialling ----

  #dial(): void {
    if (this.#host.movesToHost()) return;
    this.#dials += 1;
    const { failed } = this.#attempts;
    this.#enter("connecting", { dial: this.#dials, attempt: failed || undefined });
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
    const isReconnect = this.#attempts.wasOpen;
    const { transports, reconnect, heartbeat, ready, login, greeting = [] } = this.#options;
    this.#transports.opened();
    this.#probeLater(PROBE.interval);
    this.#attempts.opened(reconnect);
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
      continuity: isReconnect ? (continuity ?? "none") : undefined,
      subprotocol: subprotocol || undefined,
      extensions: extensions || undefined,
      transport: transports?.length ? this.#target.protocol : undefined,
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

  /** Tries the best transport again after `delay`, if another one is in use. */
  #probeLater(delay: number): void {
    if (this.#transports.index === 0) return;
    this.#probeTimer = this.#clock.setTimeout(() => {
      if (!this.#host.isIdle()) this.#probeLater(PROBE.again);
      else {
        this.#transports.probeBest();
        this.#leave();
        this.#dial();
      }
    }, delay);
  }

  // ---- the server's messages ----

  #message(message: Incoming, reply: SendReply | undefined): void {
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

  /** Carries out one action of the login. */
  #act(action: LoginAction | undefined): void {
    if (!action) return;
    if ("send" in action) for (const content of action.send) this.send(content);
    else if ("ask" in action) {
      this.#expectReady(AUTHORIZE_TIMEOUT + READY_TIMEOUT);
      this.#ask({ why: "login", attempt: this.#attempts.refused + 1, values: action.ask });
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
    if (wasOpen) this.#attempts.closed();
    this.#hangUp();
    this.#host.lost(end);
    if (this.#isOver) return;
    const action = closeAction(end, this.#options);
    const { code, reason, status, error, data } = end;
    const fields = present({ code, reason: reason || undefined, status, error, data });
    const count = this.#options.transports?.length ?? 0;
    const mayChange = !wasOpen && count > 1 && action !== "auth";
    if (mayChange && this.#transports.failed(count)) {
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
    this.#attempts.refuse();
    if (this.#options.auth === "provider" && this.#attempts.refused < 2) {
      this.#question = {
        why: "refused",
        attempt: this.#attempts.refused + 1,
        status: fields.status,
      };
      this.#enter("unauthorized", fields);
      this.#host.askCredentials(this.#question);
    } else {
      const error = linkError("handshake", "the server refused the credentials", "auth");
      this.#enter("failed", { error, ...fields });
    }
  }

  #wait(fields: StateFields, end: LinkEnd): void {
    const { reconnect, auth } = this.#options;
    const delay = this.#attempts.fail(reconnect);
    if (delay === undefined) {
      this.#fail(fields);
      return;
    }
    const minDelay = Math.max(end.retryAfter ?? 0, this.#target.leastDelay ?? 0);
    const retryIn = Math.max(delay, minDelay) + spread(end, this.#clock.random());
    this.#enter("waiting", { ...fields, attempt: this.#attempts.failed, retryIn });
    if (this.#host.movesToHost()) return;
    this.#timer = this.#clock.setTimeout(() => {
      // The browser does not report whether a handshake was refused: the credentials may have expired.
      const mayBeRefusal = auth === "provider" && fields.error?.code === "unreachable";
      if (mayBeRefusal) this.#ask({ why: "refused", attempt: this.#attempts.refused + 1 });
      else this.#dial();
    }, retryIn);
  }
}
