// The connection of one session: dial, backoff, credentials, login, failure. It stores no messages.

import type { Clock } from "../browser-api.js";
import type { Credentials, LinkState, OpenOptions } from "../wire.js";
import { Attempts } from "./attempts.js";
import { closeAction } from "./close-action.js";
import { DialTargets } from "./dial-targets.js";
import type { CredentialsRequest, DialerHost, StateFields } from "./dialer-host.js";
import { Heartbeat } from "./heartbeat.js";
import {
  type BrowserNetwork,
  type Link,
  type LinkEnd,
  type LinkEvents,
  linkError,
  type SentAs,
  type Target,
} from "./link.js";
import { Login, type LoginAction } from "./login.js";
import { TRANSPORTS } from "./open-link.js";
import { type CredentialsReason, ProvidedCredentials } from "./provided-credentials.js";
import { type MessageContent, matches, Readable } from "./rules.js";
import { TransportChoice } from "./transports.js";

const CONNECT_TIMEOUT = 15_000;
const READY_TIMEOUT = 10_000;
/** Milliseconds that a connection must have been open to show that its credentials were accepted. */
const ACCEPTED_AFTER = 10_000;
/** Milliseconds that the provider has to answer. */
const AUTHORIZE_TIMEOUT = 10_000;
/** Milliseconds between attempts with the best transport while another one is in use, and after one that had to wait. */
const PROBE = { interval: 300_000, again: 10_000 };

/** The connection of one session. */
export class Dialer {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #host: DialerHost;
  readonly #transports = new TransportChoice();
  readonly #credentials = new ProvidedCredentials();
  readonly #targets: DialTargets;
  readonly #attempts: Attempts;
  #state: LinkState = "paused";
  #link: Link | undefined;
  /** What the connection was made with. */
  #target: Target | undefined;
  #openedAt = Number.NaN;
  #heartbeat: Heartbeat | undefined;
  #login = new Login();
  #question: CredentialsRequest | undefined;
  #isReady = false;
  #dials = 0;
  #timer: unknown;
  #probeTimer: unknown;

  /** `options` includes those of the preset. */
  constructor(network: BrowserNetwork, clock: Clock, url: string, options: OpenOptions, host: DialerHost) {
    this.#network = network;
    this.#clock = clock;
    this.#host = host;
    this.#targets = new DialTargets(url, options, this.#transports, this.#credentials);
    this.#attempts = new Attempts(clock);
  }

  get state(): LinkState {
    return this.#state;
  }

  /** The state as a client is told that attaches, for which a paused session dials. */
  get stateForClient(): LinkState {
    const next = this.#credentials.wantedBy(this.#options) ? "unauthorized" : "connecting";
    return this.#state === "paused" ? next : this.#state;
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

  /** `acknowledge`: the server shall acknowledge it. */
  send(content: MessageContent, done: (how: SentAs) => void = () => undefined, acknowledge = false): void {
    if (content.event !== undefined && this.#target?.protocol !== "socket.io") {
      // The message was accepted with other options, or with another transport.
      done({ failed: linkError("not-sent", "this session's protocol has no events", "no") });
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

  /** Dials now: drops the connection if there is one, and counts attempts from the beginning. */
  start(): void {
    this.#attempts.reset();
    this.#leave();
    this.#dial();
  }

  /** A client wants it: as `start`, and refusals of credentials count from the beginning. */
  reconnect(): void {
    this.#credentials.startOver();
    this.start();
  }

  /** Another URL, other options: dials anew if they change the dial, unless it does not dial at all. */
  update(url: string, options: OpenOptions): void {
    const isOther = this.#targets.update(url, options);
    if (isOther && this.#state !== "paused") this.start();
    else if (this.#isOpen) this.#startHeartbeat();
  }

  /** Takes credentials. `isAnswer`: the provider was asked. */
  authorize(credentials: Credentials, isAnswer: boolean): void {
    if (isAnswer && this.#login.isAsking) {
      this.#question = undefined;
      this.#credentials.give({ auth: credentials.auth });
      this.#act(this.#login.answered(this.#credentials.given.auth));
      return;
    }
    // What the server holds of this connection is another user's.
    if (!isAnswer && this.#isOpen) this.#targets.forgetRecovery();
    this.#leave();
    this.#credentials.give(credentials);
    this.start();
  }

  /** The provider has no credentials. */
  noCredentials(reason: string, isAnswer: boolean): void {
    if (isAnswer && this.#login.isAsking) this.#act({ fault: reason });
    else {
      const why = "the extension has no credentials";
      this.stop("failed", { error: linkError("http-status", why), reason });
    }
  }

  /** Closes the connection gracefully; `ended` follows. */
  close(code?: number, reason?: string): void {
    this.#link?.close(code, reason);
  }

  /** Drops the connection and stops dialling. */
  stop(state: LinkState, fields: StateFields = {}): void {
    this.#leave();
    this.#enter(state, fields);
  }

  /** Stops for good, without a state record. */
  end(): void {
    this.#hangUp();
  }

  get #options(): OpenOptions {
    return this.#targets.options;
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
    if (link) this.#host.lost();
  }

  #hangUp(): void {
    if (this.#clock.now() - this.#openedAt >= ACCEPTED_AFTER) this.#credentials.accepted();
    this.#openedAt = Number.NaN;
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

  #ask(reason: CredentialsReason, values?: CredentialsRequest["values"]): void {
    const question: CredentialsRequest = {
      nonce: crypto.randomUUID(),
      deadline: AUTHORIZE_TIMEOUT,
      attempt: this.#credentials.asked(),
      ...reason,
      values,
    };
    this.#question = question;
    if (reason.why !== "login" && this.#state !== "unauthorized") this.#enter("unauthorized");
    this.#host.askCredentials(question);
  }

  // ---- dialling ----

  #dial(): void {
    const wanted = this.#credentials.wantedBy(this.#options);
    if (wanted) this.#ask(wanted);
    else if (!this.#host.movesToHost()) this.#dialNow();
  }

  #dialNow(): void {
    this.#dials += 1;
    this.#enter("connecting", { dial: this.#dials, attempt: this.#attempts.failed });
    const timeout = this.#options.connectTimeout ?? CONNECT_TIMEOUT;
    this.#timer = this.#clock.setTimeout(() => {
      this.#drop({ error: linkError("timeout", `no connection within ${timeout} ms`) });
    }, timeout);
    try {
      this.#target = this.#targets.next();
      this.#link = this.#connect(this.#target);
    } catch (error) {
      this.#drop({ action: "stop", error: linkError("bad-url", String((error as Error)?.message), "no") });
    }
  }

  #connect(target: Target): Link {
    const own =
      <Args extends unknown[]>(call: (...args: Args) => void) =>
      (...args: Args): void => {
        if (this.#link === link) call(...args);
      };
    const link = new TRANSPORTS[target.protocol](this.#network, this.#clock, target, {
      opened: own((more) => this.#opened(more)),
      message: own((message, reply) => this.#message(message, reply)),
      room: own(() => this.#isReady && this.#host.room()),
      alive: own(() => this.#heartbeat?.alive()),
      namespace: own((change) => this.#host.namespace(change)),
      ended: own((end) => this.#drop(end)),
    });
    return link;
  }

  #opened({ subprotocol, extensions, continuity }: Parameters<LinkEvents["opened"]>[0]): void {
    this.#clock.clearTimeout(this.#timer);
    const isReconnect = this.#attempts.wasOpen;
    const { transports, reconnect, ready, login, greeting = [] } = this.#options;
    this.#openedAt = this.#clock.now();
    this.#transports.opened();
    this.#probeLater(PROBE.interval);
    this.#attempts.opened(reconnect);
    this.#startHeartbeat();
    this.#login = new Login(login);
    if (ready) this.#expectReady(READY_TIMEOUT);
    this.#enter("open", {
      dial: this.#dials,
      attempt: this.#attempts.failed,
      continuity: isReconnect ? (continuity ?? "none") : undefined,
      subprotocol: subprotocol || undefined,
      extensions: extensions || undefined,
      transport: transports?.length ? this.#target?.protocol : undefined,
    });
    for (const content of greeting) this.send(content);
    if (!ready) this.#becomeReady();
  }

  #startHeartbeat(): void {
    this.#heartbeat?.stop();
    this.#heartbeat = new Heartbeat(
      this.#options.heartbeat,
      this.#target?.protocol ?? "websocket",
      this.#clock,
      (content) => this.send(content),
      () => this.#drop({ error: linkError("heartbeat", "the server was silent for too long") }),
    );
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

  #message(...[message, reply]: Parameters<LinkEvents["message"]>): void {
    const read = new Readable(message, this.#options.format);
    this.#heartbeat?.alive();
    this.#heartbeat?.adjust(read);
    const { ready } = this.#options;
    const awaits = ready !== undefined && !this.#isReady && this.#isOpen;
    const action = awaits ? this.#login.onMessage(read, this.#credentials.given.auth) : undefined;
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
      this.#ask({ why: "login" }, action.ask);
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
    this.#hangUp();
    if (this.#host.ended(end)) return;
    const { code, reason, status, error, data } = end;
    const fields = { dial: this.#dials, code, reason: reason || undefined, status, error, data };
    const count = this.#options.transports?.length ?? 0;
    const meant = closeAction(end, this.#options);
    const mayChange = !wasOpen && count > 1 && /retry|stop/.test(meant);
    // What this transport will never do, another may.
    const action = mayChange ? "retry" : meant;
    const dialsNext = mayChange && this.#transports.failed(count);
    if (dialsNext) this.#enter("waiting", fields);
    else if (action === "closed" || (action === "retry" && this.#options.reconnect === false)) {
      this.#enter("closed", fields);
    } else if (action === "auth") this.#refused(fields);
    else if (action === "stop") this.#enter("failed", fields);
    else this.#wait(fields, end);
    // Messages end after the state that says why.
    this.#host.lost();
    if (dialsNext) this.#dial();
  }

  #refused(fields: StateFields): void {
    const { status } = fields;
    const isWorthAsking = this.#credentials.refuse(status) && this.#options.auth === "provider";
    this.#enter(isWorthAsking ? "unauthorized" : "failed", fields);
    if (isWorthAsking) this.#ask({ why: "refused", status });
  }

  #wait(fields: StateFields, end: LinkEnd): void {
    const { reconnect, auth } = this.#options;
    const retryIn = this.#attempts.fail(reconnect, end, this.#targets.token.leastDelay);
    if (retryIn === undefined) {
      this.#enter("failed", fields);
      return;
    }
    this.#enter("waiting", { ...fields, attempt: this.#attempts.failed, retryIn });
    if (this.#host.movesToHost()) return;
    this.#timer = this.#clock.setTimeout(() => {
      // The browser does not report whether a handshake was refused: the credentials may have expired.
      const mayBeRefusal = auth === "provider" && fields.error?.code === "unreachable";
      if (mayBeRefusal) this.#ask({ why: "refused" });
      else this.#dial();
    }, retryIn);
  }
}
