// `WebSocket` as the standard describes it, over a session; with the option `session` one that outlives its connections.
// It holds no state of the link beyond the standard's attributes.

import { report, type Unsubscribe } from "../events.js";
import type { GapEvent } from "../inbox.js";
import { fromBase64, isBlob, type SendContent, toBase64, utf8Length } from "../payload.js";
import type { Received } from "../received.js";
import type { Session } from "../session.js";
import type { CloseReport, SessionOptions, StateEvent } from "../session-types.js";
import { queueTask, TaskQueue } from "../task.js";
import { closeEvent } from "./close-event.js";
import { type EventHandler, Handlers } from "./handlers.js";
import { closeOnLeaving, openSession } from "./lifetime.js";
import { SocketOutgoing } from "./outgoing.js";
import type { SocketEventMap, SocketOptions } from "./types.js";
import { checkSubprotocols, socketUrl } from "./url.js";
import { Warnings } from "./warnings.js";
import { bytesOf, clampedShort, defineInterface, stringOrSequence, usvString } from "./webidl.js";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** The events with an event handler attribute. */
type HandledEvents = Pick<SocketEventMap, "open" | "message" | "error" | "close">;

/** The broker's outbox for a socket; other messages wait in the SDK. */
const OUTBOX = { messages: 65536, bytes: 64 * 1024 * 1024 };
/** Milliseconds until the connection of a stopped worker is closed; a crashed host is restarted sooner. */
const LINGER = 12_000;
/** Milliseconds for messages sent before `close()`, and for the server's answer to it. */
const CLOSE_TIMEOUT = 60_000;
/** Options of a socket that ends with its connection and its context. A full log slows the server down. */
const STANDARD: SessionOptions = {
  reconnect: false,
  queue: { overflow: "pause" },
  linger: LINGER,
  expire: LINGER,
  transient: true,
};

/**
 * A `WebSocket` whose connection belongs to the broker. With the option `session` it survives lost links and stopped
 * workers: see `SocketOptions`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface below adds what is defined on the prototype.
export class LongwireSocket extends EventTarget {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  readonly #url: string;
  readonly #isPersistent: boolean;
  readonly #session: Promise<Session>;
  readonly #offered: boolean;
  readonly #outgoing: SocketOutgoing;
  readonly #warnings: Warnings | undefined;
  readonly #handlers = new Handlers<LongwireSocket, HandledEvents>(this);
  #held: Session | undefined;
  #offs: Unsubscribe[] = [];
  #readyState = CONNECTING;
  #protocol = "";
  #extensions = "";
  #binaryType: BinaryType = "blob";
  #closedWith: { code: number; reason: string } | undefined;
  /** How the link ended, until the end of the session is known. */
  #end: Partial<StateEvent> | undefined;
  #dropped = false;
  /** The events that were not dispatched yet. */
  readonly #events = new TaskQueue();
  #opened = false;

  constructor(url: string | URL, protocols: string | string[] = [], options: SocketOptions = {}) {
    super();
    // biome-ignore lint/complexity/noArguments: distinguishes no argument from `undefined`, as WebIDL does.
    if (arguments.length === 0) throw new TypeError("1 argument required, but only 0 present");
    const given = usvString(url);
    const subprotocols = stringOrSequence(protocols);
    this.#url = socketUrl(given);
    checkSubprotocols(subprotocols);
    const { session: name, bridge, ...rest } = options ?? {};
    this.#isPersistent = name !== undefined;
    if (!this.#isPersistent && (rest.reconnect || "name" in rest)) {
      throw new TypeError(
        "longwire: only a socket with the option `session` reconnects; set `session` to a name",
      );
    }
    this.#offered = subprotocols.length > 0;
    const outbox = { ...OUTBOX, ...rest.outbox };
    this.#outgoing = new SocketOutgoing(outbox, (error) => this.#failFor(error));
    this.#warnings = this.#isPersistent ? new Warnings(String(name), rest) : undefined;
    this.#session = openSession(this.#url, name, bridge, {
      closeTimeout: CLOSE_TIMEOUT,
      ...(this.#isPersistent ? {} : STANDARD),
      ...rest,
      outbox,
      subprotocols: this.#offered ? subprotocols : undefined,
      ack: "manual",
      waitForHost: false,
    });
    this.#session.then(
      (opened) => this.#attach(opened),
      (error) => this.#failFor(error),
    );
  }

  /**
   * Returns a class that creates sockets with these options, for libraries that accept a class:
   * `LongwireSocket.with({ headers })`.
   */
  static with(options: SocketOptions): typeof LongwireSocket {
    // biome-ignore lint/complexity/noThisInStatic: a subclass makes sockets of its own.
    const Base = this as typeof LongwireSocket;
    return class LongwireSocket extends Base {
      constructor(url: string | URL, protocols?: string | string[], more?: SocketOptions) {
        super(url, protocols, { ...options, ...more });
      }
    };
  }

  // ---- attributes ----

  /** The URL, resolved. */
  get url(): string {
    return this.#url;
  }
  /** `CONNECTING` 0, `OPEN` 1, `CLOSING` 2, `CLOSED` 3. */
  get readyState(): number {
    return this.#readyState;
  }
  /** Bytes passed to `send` that the broker has not received yet. Is not reset to zero after `close`. */
  get bufferedAmount(): number {
    return this.#outgoing.bytes;
  }
  /** The extensions the server chose. */
  get extensions(): string {
    return this.#extensions;
  }
  /** The subprotocol the server chose. */
  get protocol(): string {
    return this.#protocol;
  }
  /** `blob` (default) or `arraybuffer`: the type of received bytes. Other values are ignored. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }
  set binaryType(value: BinaryType) {
    // As WebIDL requires, a receiver of another class throws before a value is ignored.
    this.#binaryType = this.#binaryType;
    const type = `${value}`;
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }
  get onopen(): EventHandler<LongwireSocket, Event> {
    return this.#handlers.get("open");
  }
  set onopen(call) {
    this.#handlers.set("open", call);
  }
  get onmessage(): EventHandler<LongwireSocket, MessageEvent> {
    return this.#handlers.get("message");
  }
  set onmessage(call) {
    this.#handlers.set("message", call);
  }
  get onerror(): EventHandler<LongwireSocket, Event> {
    return this.#handlers.get("error");
  }
  set onerror(call) {
    this.#handlers.set("error", call);
  }
  get onclose(): EventHandler<LongwireSocket, CloseEvent> {
    return this.#handlers.get("close");
  }
  set onclose(call) {
    this.#handlers.set("close", call);
  }
  /** The session behind the socket, for features that the standard does not have. */
  get session(): Promise<Session> {
    return this.#session;
  }

  // ---- methods ----

  /** Sends text or bytes. Throws while connecting; has no effect when closed, as the standard defines. */
  send(data: string | Blob | ArrayBufferLike | ArrayBufferView): void {
    // biome-ignore lint/complexity/noArguments: distinguishes no argument from `undefined`, as WebIDL does.
    if (arguments.length === 0) throw new TypeError("1 argument required, but only 0 present");
    const bytes = bytesOf(data);
    const blob = !bytes && isBlob(data) ? data : undefined;
    const text = bytes || blob ? "" : usvString(data);
    if (this.#readyState === CONNECTING) {
      throw new DOMException("Still in CONNECTING state", "InvalidStateError");
    }
    if (bytes) this.#queue(bytes.length, () => ({ base64: toBase64(bytes) }));
    else if (blob) this.#queue(blob.size, () => blob);
    else this.#queue(utf8Length(text), () => ({ text }));
  }

  /**
   * Closes the connection after sent messages are written. With the option `session`, ends the session for all
   * clients.
   */
  close(code: number | undefined = undefined, reason: string | undefined = undefined): void {
    const readyState = this.#readyState;
    // 1005: the frame has no code.
    const wanted = code === undefined ? 1005 : clampedShort(code);
    const text = reason === undefined ? "" : usvString(reason);
    if (code !== undefined && wanted !== 1000 && (wanted < 3000 || wanted > 4999)) {
      throw new DOMException(`Close code ${wanted} is neither 1000 nor 3000 to 4999`, "InvalidAccessError");
    }
    if (utf8Length(text) > 123) {
      throw new DOMException("The close reason is longer than 123 bytes", "SyntaxError");
    }
    if (readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    // The standard's "fail the connection": an error, and 1006.
    if (readyState === CONNECTING) queueTask(() => this.#fail());
    else void this.#hangUp(wanted, wanted === 1005 ? "" : text);
  }

  async #hangUp(code: number, reason: string): Promise<void> {
    this.#closedWith = { code, reason };
    await this.#outgoing.drained();
    // The end is reported by `detached`, with the server's answer.
    await this.#held?.close(code, reason).catch(() => this.#events.push(() => this.#fail()));
  }

  // ---- the link ----

  #attach(session: Session): void {
    if (this.#readyState === CLOSED) return;
    this.#held = session;
    const { core, opened } = session;
    this.#outgoing.attach((...args) => core.outgoing.send(...args), !!opened?.outbox[0]);
    const changed = (state: StateEvent) => this.#events.push(() => this.#state(state));
    this.#offs = [
      core.callbacks.on("link", changed),
      session.on("live", () => this.#events.push(() => this.#end && this.#ended(this.#end))),
      session.on("detached", (reason, error, how) => {
        if (reason === "superseded") report(error);
        this.#events.push(() => this.#detached(how));
      }),
      session.onGap((gap) => this.#events.push(() => this.#gap(gap))),
      session.on("message", (message) =>
        this.#events.push(() => {
          this.#message(message);
          message.done();
        }),
      ),
    ];
    if (!this.#isPersistent) this.#offs.push(closeOnLeaving(session));
    if (session.link) changed(session.link);
  }

  #state(state: StateEvent): void {
    if (this.#readyState === CLOSED || state.namespace) return;
    if (state.state === "open") this.#linkOpened(state);
    else if (state.state === "closed" || state.state === "failed") this.#linkEnded(state);
    else if (state.state === "waiting" && this.#isPersistent && this.#readyState < CLOSING) {
      this.#warnings?.lost();
      this.#dropped = this.#readyState === OPEN;
      this.#dispatch("reconnecting", state);
    }
  }

  #linkOpened(state: StateEvent): void {
    this.#protocol = state.subprotocol ?? this.#protocol;
    this.#extensions = state.extensions ?? this.#extensions;
    this.#warnings?.opened(this.#protocol, this.#dropped);
    if (this.#dropped) this.#dispatch("resumed", state);
    this.#dropped = false;
    // The server must choose one of those that were offered.
    if (this.#offered && !this.#protocol) this.#fail();
    this.#open();
  }

  #linkEnded(state: StateEvent): void {
    // A persistent socket is dialled again by the next worker that opens it.
    if (state.past && this.#isPersistent) return;
    this.#end = state;
    // Without `seq` only the state is known yet; code and reason follow with the records.
    if (state.seq !== undefined || this.#isPersistent) this.#ended(state);
  }

  #open(): void {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#opened = true;
    this.dispatchEvent(new Event("open"));
  }

  #gap(gap: GapEvent): void {
    // A standard socket can report a loss only by closing.
    if (this.#isPersistent) this.#dispatch("gap", gap);
    else this.#fail(gap.reason === "reset");
  }

  #dispatch(type: string, detail: StateEvent | GapEvent): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #message(message: Received): void {
    if (this.#readyState === CONNECTING) {
      // A message from before this worker started; the link may be down now.
      this.#open();
      this.#dropped = this.#held?.state !== "open";
    }
    if (this.#readyState !== OPEN) return;
    const { origin } = new URL(this.#url);
    this.dispatchEvent(new MessageEvent("message", { data: this.#content(message), origin }));
  }

  #content(message: Received): unknown {
    if (message.base64 === undefined) return message.text ?? JSON.stringify(message.data);
    const bytes = fromBase64(message.base64);
    return this.#binaryType === "blob" ? new Blob([bytes]) : bytes.buffer;
  }

  #queue(size: number, content: () => SendContent): void {
    this.#outgoing.add(size, this.#readyState === OPEN ? content() : undefined);
  }

  /** The session is over; `how` is set if it was closed. */
  #detached(how: CloseReport | undefined): void {
    if (this.#end) this.#ended(this.#end);
    else if (how?.clean === false) this.#fail(this.#opened && !this.#isPersistent);
    else this.#ended(how?.code ? how : { ...this.#closedWith });
  }

  /** The connection is over, cleanly or not. */
  #ended({ code = 1006, reason = "", error }: Partial<StateEvent>): void {
    if (code !== 1006 && this.#opened) this.#finish(code, reason);
    // Browsers fire an error when they fail the connection, but not when an open one just breaks.
    else this.#fail(this.#opened && !this.#isPersistent && error?.code !== "server-protocol");
  }

  /** The standard's events have no reason; browsers log it. */
  #failFor(error: unknown): void {
    report(error);
    this.#events.push(() => this.#fail());
  }

  #fail(quietly = false): void {
    this.#finish(1006, "", quietly ? undefined : new Event("error"));
  }

  #finish(code: number, reason: string, error?: Event): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#events.clear();
    for (const off of this.#offs.splice(0)) off();
    this.#outgoing.stop();
    // A socket created from now on, even in the events that follow, gets a new session.
    const end = (session: Session) => session.close().catch(() => undefined);
    if (this.#held) void end(this.#held);
    else this.#session.then(end, () => undefined);
    if (error) this.#events.push(() => this.dispatchEvent(error));
    this.#events.push(() => this.dispatchEvent(closeEvent({ wasClean: code !== 1006, code, reason })));
  }

  static {
    defineInterface("LongwireSocket", LongwireSocket, { CONNECTING, OPEN, CLOSING, CLOSED });
  }
}

/** Typed listeners in addition to those of `EventTarget`. */
export interface LongwireSocket {
  addEventListener<Name extends keyof SocketEventMap>(
    type: Name,
    listener: (this: LongwireSocket, event: SocketEventMap[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof SocketEventMap>(
    type: Name,
    listener: (this: LongwireSocket, event: SocketEventMap[Name]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
