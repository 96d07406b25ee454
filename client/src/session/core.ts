// The implementation of session.ts: attaches to the broker, routes frames to its three parts, which do not know each other, and
// ends. The parts are uplink.ts (the link to the server), outgoing.ts (sending) and delivery.ts (receiving).

import { type AnyLongwireError, fromWire, type LongwireError } from "../errors.js";
import { Callbacks, report } from "../events.js";
import type { Moved } from "../fallback-registry.js";
import type { Received } from "../received.js";
import type { CloseReport, EndReason, SessionOptions } from "../session-types.js";
import type {
  Authorize,
  Close,
  Detach,
  ErrorFrame,
  Open,
  Opened,
  Reconnect,
  RecordFrame,
  Response,
  ToExtension,
  Window,
} from "../wire.js";
import type { CallbackEvents, SessionContext, SessionHost } from "./context.js";
import { Delivery } from "./delivery.js";
import { closeReport, endError } from "./ending.js";
import { Outgoing } from "./outgoing.js";
import { terms } from "./terms.js";
import { Uplink } from "./uplink.js";

/** A frame without the fields that name the session and the question. */
type Unaddressed<Frame> = Frame extends unknown ? Omit<Frame, "session" | "id"> : never;
/** A command to the broker about a session. */
export type Command = Unaddressed<Authorize | Window | Reconnect | Detach | Close>;
type Parting = Extract<Command, { type: "detach" | "close" }>;

/** Minimum milliseconds until the next attempt after an attachment was refused temporarily. */
const RETRY = 1000;
/** The broker's default of `closeTimeout`, in milliseconds. */
const CLOSE_TIMEOUT = 10_000;
/** Milliseconds after `closeTimeout` until a broker that does not report the end is given up. */
const CLOSE_GRACE = 5000;

/** One session of this context. */
export class SessionCore {
  readonly uplink: Uplink;
  readonly outgoing: Outgoing;
  readonly delivery: Delivery;
  readonly callbacks = new Callbacks<CallbackEvents>();
  /** The broker's last `opened` for this worker. */
  opened: Opened | undefined;
  /** Pending while this worker detaches or closes. */
  parting: Promise<void> | undefined;
  readonly #host: SessionHost;
  /** The session for its parts. */
  readonly #context: SessionContext;
  #options: SessionOptions;
  /** Why this worker is not attached any more. */
  #over: LongwireError | undefined;
  /** Another broker has taken over: messages that the previous one had accepted are settled after replay. */
  #orphaned = false;
  /** The window has been full for a while. */
  #stalled = false;
  /** The id of the last `open` frame. */
  #openId = "";
  #opening: { resolve(): void; reject(error: LongwireError): void }[] = [];
  /** `requested`: close was called. `accepted`: the broker closes, and reports the end with `detached`. */
  #closing: "requested" | "accepted" | undefined;
  #ended: (() => void) | undefined;

  constructor(host: SessionHost, name: string, url?: string, options: SessionOptions = {}) {
    this.#host = host;
    this.#options = options;
    const failed = (error: LongwireError, message?: Received) => this.#failed(error, message);
    this.#context = { ...host, name, url, failed };
    this.delivery = new Delivery(this.#context, options);
    this.outgoing = new Outgoing(this.#context, () => {
      this.#widen();
      host.connect();
    });
    this.uplink = new Uplink(this.#context, this.callbacks, (state) => this.delivery.linkChanged(state));
  }

  get name(): string {
    return this.#context.name;
  }

  // ---- commands ----

  /** Sends a command about this session. */
  async ask(command: Command): Promise<void> {
    await this.outgoing.ask("ok", { ...command, session: this.name, id: this.#host.nextId() });
  }

  /** Changes the in-flight window. */
  window(messages: number, bytes: number): Promise<void> {
    this.delivery.resize(messages, bytes);
    return this.ask({ type: "window", messages, bytes });
  }

  // ---- for the bridge ----

  /** Opens the session, with another URL or other options if given. */
  open(url: string | undefined, options: SessionOptions | undefined): Promise<void> {
    if (url !== undefined) this.#context.url = url;
    if (options) this.#options = options;
    return new Promise((resolve, reject) => {
      this.#opening.push({ resolve, reject });
      this.#host.connect();
    });
  }

  /** The broker has answered on a port: attaches. */
  async attach(): Promise<void> {
    const id = this.#host.nextId();
    this.#openId = id;
    const resume = await this.delivery.position(this.opened ? undefined : this.#options.from);
    // Another attachment may have begun meanwhile.
    if (this.#openId !== id) return;
    const frame: Open = { type: "open", id, session: this.name, resume };
    // A session that is being closed is not created again, nor a transient one after its first attachment.
    const isNew = !this.#closing && !(this.#options.transient && this.opened);
    if (isNew) Object.assign(frame, terms(this.#context.url, this.#options, this.#host.pageOrigin));
    this.#host.post(frame);
  }

  /** The attachment is lost for now. */
  lost(): void {
    this.#openId = "";
    this.outgoing.lost();
    if (this.#closing === "accepted") this.#leave("closed");
  }

  /** The option `waitForHost`. */
  get waitsForHost(): boolean | undefined {
    return this.#options.waitForHost;
  }

  /**
   * There will be no attachment soon, or until a new request. A session that was never opened is given up.
   * Returns how many calls are rejected.
   */
  unreachable(error: LongwireError): number {
    this.lost();
    const calls = this.#answerOpening(error) + this.outgoing.unreachable(error);
    if (!this.opened) this.#leave("refused", error);
    return calls;
  }

  /** Whether nothing is pending, so that the port can be closed. */
  get quiet(): boolean {
    return this.#opening.length === 0 && this.outgoing.quiet && this.delivery.quiet;
  }

  /** Whether an answer with this id is for this session. */
  awaits(id: string): boolean {
    return id === this.#openId || this.outgoing.has(id);
  }

  /** Takes a frame of this session. */
  take(frame: ToExtension | Moved): void {
    switch (frame.type) {
      case "moved":
        this.lost();
        void this.attach();
        break;
      case "opened":
        this.#attached(frame);
        break;
      case "message":
      case "gap":
      case "state":
      case "outcome":
      case "response":
        this.#record(frame);
        break;
      case "accepted":
        this.outgoing.accepted(frame.id, frame.outcome);
        break;
      case "ok":
        this.outgoing.answered("ok", frame);
        break;
      case "error":
        this.#error(frame);
        break;
      case "live":
        this.#live();
        break;
      case "auth-needed":
        this.uplink.authNeeded(frame);
        break;
      case "detached":
        // While an attachment is requested, this concerns the previous one.
        if (this.opened?.id === this.#openId) this.#leave(frame.reason, undefined, closeReport(frame));
        break;
      case "stalled":
        this.#stalled = true;
        this.#widen();
        this.callbacks.emit("stalled", frame);
        break;
      case "subscription":
        this.callbacks.emit("subscription", frame);
        break;
    }
  }

  // ---- attachment ----

  #attached(opened: Opened): void {
    if (opened.id !== this.#openId) return;
    const first = !this.opened;
    this.opened = opened;
    if (opened.ignored[0]) report(`unknown options: ${opened.ignored}`);
    const { window, from } = this.#options;
    if (this.delivery.attached(opened, window, first ? from : undefined)) this.#orphaned = true;
    this.outgoing.resume(new Set(opened.subscriptions.map(({ key }) => key)));
    this.uplink.attached(opened);
    this.#answerOpening();
  }

  #live(): void {
    this.delivery.live();
    if (this.#orphaned) {
      this.#orphaned = false;
      this.outgoing.orphan(new Set(this.opened?.outbox.map(({ id }) => id)));
    }
    this.callbacks.emit("live");
  }

  /** Answers the calls of `open`. Returns how many there were. */
  #answerOpening(error?: LongwireError): number {
    const calls = this.#opening.splice(0);
    for (const { resolve, reject } of calls) error ? reject(error) : resolve();
    return calls.length;
  }

  /** The broker did not attach this worker. */
  #refused(error: LongwireError): void {
    const isRequested = this.#answerOpening(error) > 0;
    // After a restart of the broker another worker may create the session again.
    const mayComeBack = this.opened && !this.#closing && !this.#options.transient;
    const comesBack = error.code === "no-session" && mayComeBack;
    if (!comesBack && (!this.opened || error.retry === "no" || error.retry === "action")) {
      // Other options were refused: the previous attachment continues.
      if (!(isRequested && this.opened)) this.#leave(this.#closing ? "closed" : "refused", error);
      return;
    }
    const id = this.#openId;
    this.#host.clock.setTimeout(
      () => {
        if (id === this.#openId) void this.attach();
      },
      RETRY * (1 + this.#host.clock.random()),
    );
  }

  // ---- the end ----

  /** Detaches, or ends the session. */
  part(command: Parting): Promise<void> {
    this.parting ??= this.#part(command).finally(() => {
      this.parting = undefined;
    });
    return this.parting;
  }

  async #part(command: Parting): Promise<void> {
    const closes = command.type === "close";
    if (closes) this.#closing = "requested";
    try {
      await this.delivery.flush();
      await this.ask(command);
      if (closes) await this.#closed();
    } catch (error) {
      // The end of the session counts as an answer.
      if (!this.#over) throw error;
    } finally {
      this.#closing = undefined;
    }
    this.#leave(closes ? "closed" : "left");
  }

  /** Resolves when the broker has reported the end; unwritten messages have their outcome by then. */
  async #closed(): Promise<void> {
    if (this.#over) return;
    this.#closing = "accepted";
    const { closeTimeout } = this.#options;
    const longest = (typeof closeTimeout === "number" ? closeTimeout : CLOSE_TIMEOUT) + CLOSE_GRACE;
    let timer: unknown;
    await new Promise<void>((resolve) => {
      this.#ended = resolve;
      timer = this.#host.clock.setTimeout(resolve, longest);
    });
    this.#host.clock.clearTimeout(timer);
  }

  #leave(reason: EndReason, error = endError(this.name, reason), how?: CloseReport): void {
    if (this.#over) return;
    this.#openId = "";
    this.outgoing.lost();
    const over = reason === "closed" || reason === "expired";
    if (over) {
      void this.#host.memory.forget(this.name).catch(() => undefined);
      this.outgoing.closed();
    }
    this.outgoing.end(error);
    this.#answerOpening(error);
    // Unfinished messages are redelivered to the next attachment.
    this.delivery.end(reason === "closed" || reason === "left" ? undefined : error, !over);
    this.#host.left(this);
    this.uplink.detached();
    this.#over = error;
    this.#ended?.();
    this.callbacks.emit("detached", reason, error, how);
  }

  // ---- records ----

  #record(frame: RecordFrame): void {
    const token = this.delivery.arrived(frame);
    if (!token) return;
    switch (frame.type) {
      case "message":
        this.delivery.message(frame, token);
        return;
      case "gap":
        this.delivery.gap(frame, token);
        return;
      case "state":
        this.uplink.changed(frame, this.delivery.isPast(frame));
        break;
      case "outcome":
        if (!this.outgoing.answered("outcome", frame))
          this.callbacks.emit("outcome", this.outgoing.toOutcome(frame));
        break;
      case "response":
        if (!this.outgoing.answered("response", frame))
          this.callbacks.emit("response", frame.id, this.answer(frame));
        break;
    }
    token.finish();
  }

  #error(frame: ErrorFrame): void {
    const isAboutOpen = frame.id === this.#openId;
    // The broker shuts down; the SDK attaches to the next one when the host reports it.
    if (isAboutOpen && frame.code === "shutting-down") return;
    const error = fromWire(frame, this.#context.url);
    if (isAboutOpen) this.#refused(error);
    else if (frame.id === undefined || !this.outgoing.refused(frame.id, error)) this.#failed(error);
  }

  #failed(error: LongwireError, message?: Received): void {
    if (this.callbacks.emit("error", error as AnyLongwireError, message) === 0) report(error);
  }

  // ---- answers ----

  /** The answer to a request, or why there is none. */
  answer(frame: Response): Received | LongwireError {
    return frame.error ? fromWire(frame.error, this.#context.url) : this.delivery.answer(frame);
  }

  /** A handler may await an answer behind the messages that wait for the handler: widens the window for it. */
  #widen(): void {
    if (!this.#stalled || this.outgoing.quiet) return;
    this.#stalled = false;
    const { messages, bytes } = this.delivery.window;
    this.window(2 * messages, 2 * bytes).catch(() => undefined);
  }
}
