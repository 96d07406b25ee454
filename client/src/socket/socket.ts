// `WebSocket` as the standard describes it, over a session; with the option `session` one that outlives its connections.
// It holds no state of the link beyond what the standard's attributes show.

import { type Bridge, type ConnectOptions, connect } from "../bridge.js";
import { report, type Unsubscribe } from "../events.js";
import type { GapEvent } from "../inbox.js";
import { type Content, fromBase64, isBlob, toBase64, utf8Length } from "../payload.js";
import type { Received } from "../received.js";
import type { Session } from "../session.js";
import type { CloseReport, SessionOptions, StateEvent } from "../session-types.js";
import { queueTask } from "../task.js";
import type { OpenOptions } from "../wire.js";
import { closeEvent } from "./close-event.js";
import { bytesOf, clampedShort, stringOrSequence, usvString } from "./conversions.js";
import { Handlers } from "./handlers.js";
import { closeOnLeaving, sessionName, sweep } from "./lifetime.js";
import { Outgoing } from "./outgoing.js";
import { checkSubprotocols, isBlocked, socketUrl } from "./url.js";
import { Warnings } from "./warnings.js";

/** The options that have a name: an index signature would hide them. */
type Named<Options> = { [Key in keyof Options as string extends Key ? never : Key]: Options[Key] };

/** Options of `LongwireSocket`: those of a session, its name and the bridge. */
export interface SocketOptions extends Omit<Named<OpenOptions>, "subprotocols" | "format"> {
  /**
   * Uses the persistent session of this name: its connection, its log and its position survive the worker. A lost
   * link is re-established, and fires `reconnecting`, `resumed` and `gap` instead of `close`. Without this option the
   * socket behaves as the standard defines.
   */
  session?: string;
  /** The bridge to use, or how to connect. Default: `connect()`. */
  bridge?: Bridge | ConnectOptions;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

type Handler<Event_> = ((this: LongwireSocket, event: Event_) => unknown) | null;

/** The events of a `LongwireSocket`. The last three fire only with the option `session`. */
export interface SocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  /** The link was lost; `detail` has the time of the next attempt. */
  reconnecting: CustomEvent<StateEvent>;
  /** The link is open again; `detail.continuity` tells whether the server may have sent messages meanwhile. */
  resumed: CustomEvent<StateEvent>;
  /** Messages were lost at this point; `detail` has their number and the reason. */
  gap: CustomEvent<GapEvent>;
}

/** What the broker holds for a socket; the rest waits in the SDK. */
const OUTBOX = { messages: 65536, bytes: 64 * 1024 * 1024 };
/** Milliseconds after which the connection of a worker that died is closed; a crashed host is back before. */
const LINGER = 12_000;
/** Milliseconds that messages sent before `close()` and the server's answer to it have. */
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
  readonly #lasting: boolean;
  readonly #session: Promise<Session>;
  readonly #offered: boolean;
  readonly #outbox: { messages: number; bytes: number };
  readonly #warnings: Warnings | undefined;
  readonly #handlers = new Handlers(this);
  #held: Session | undefined;
  #outgoing: Outgoing | undefined;
  #offs: Unsubscribe[] = [];
  #readyState = CONNECTING;
  #protocol = "";
  #extensions = "";
  #binaryType: BinaryType = "blob";
  /** Bytes given to `send` since the socket was closed: they count for ever. */
  #unsent = 0;
  #asked: { code: number; reason: string } | undefined;
  /** How the link ended, before anybody said how the session did. */
  #end: Partial<StateEvent> | undefined;
  #dropped = false;
  /** What is to be told, each in a task of its own. */
  readonly #events: (() => void)[] = [];
  #telling = false;
  #opened = false;

  constructor(url: string | URL, protocols: string | string[] = [], options: SocketOptions = {}) {
    super();
    // biome-ignore lint/complexity/noArguments: tells no argument from `undefined`, as WebIDL does.
    if (arguments.length === 0) throw new TypeError("1 argument required, but only 0 present");
    const given = usvString(url);
    const subprotocols = stringOrSequence(protocols);
    this.#url = socketUrl(given);
    checkSubprotocols(subprotocols);
    const { session: name, bridge, ...rest } = options ?? {};
    this.#lasting = name !== undefined;
    if (!this.#lasting && (rest.reconnect || "name" in rest)) {
      throw new TypeError(
        "longwire: only a socket with the option `session` reconnects; set `session` to a name",
      );
    }
    this.#offered = subprotocols.length > 0;
    this.#outbox = { ...OUTBOX, ...rest.outbox };
    this.#warnings = this.#lasting ? new Warnings(String(name), rest) : undefined;
    this.#session = this.#dial(name, bridge, {
      closeTimeout: CLOSE_TIMEOUT,
      ...(this.#lasting ? {} : STANDARD),
      ...rest,
      outbox: this.#outbox,
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

  async #dial(
    name: string | undefined,
    bridge: SocketOptions["bridge"],
    options: SessionOptions,
  ): Promise<Session> {
    if (isBlocked(this.#url))
      throw new Error(`longwire: browsers do not connect to the port of ${this.#url}`);
    const opener = bridge && "open" in bridge ? bridge : connect(bridge);
    try {
      return await opener.open(name ?? sessionName(opener), this.#url, options);
    } finally {
      if (!this.#lasting) sweep(opener);
    }
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
    return this.#unsent + (this.#outgoing?.bytes ?? 0);
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
    // As WebIDL has it: a foreign object is told before a value is ignored.
    this.#binaryType = this.#binaryType;
    const type = `${value}`;
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }
  get onopen(): Handler<Event> {
    return this.#handlers.get("open");
  }
  set onopen(call) {
    this.#handlers.set("open", call);
  }
  get onmessage(): Handler<MessageEvent> {
    return this.#handlers.get("message");
  }
  set onmessage(call) {
    this.#handlers.set("message", call);
  }
  get onerror(): Handler<Event> {
    return this.#handlers.get("error");
  }
  set onerror(call) {
    this.#handlers.set("error", call);
  }
  get onclose(): Handler<CloseEvent> {
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
    // biome-ignore lint/complexity/noArguments: tells no argument from `undefined`, as WebIDL does.
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
    // The standard calls this failing: an error, and 1006.
    if (readyState === CONNECTING) queueTask(() => this.#fail());
    else void this.#hangUp(wanted, wanted === 1005 ? "" : text);
  }

  async #hangUp(code: number, reason: string): Promise<void> {
    this.#asked = { code, reason };
    await this.#outgoing?.drained();
    // Its end comes as `detached`, with what the server answered.
    await this.#held?.close(code, reason).catch(() => this.#soon(() => this.#fail()));
  }

  // ---- the link ----

  #attach(session: Session): void {
    if (this.#readyState === CLOSED) return;
    this.#held = session;
    const careful = (session.opened?.outbox.length ?? 0) > 0;
    this.#outgoing = new Outgoing(
      (...args) => session.core.outgoing.send(...args),
      this.#outbox,
      careful,
      (error) => this.#failFor(error),
    );
    const changed = (state: StateEvent) => this.#soon(() => this.#state(state));
    this.#offs = [
      session.core.callbacks.on("link", changed),
      session.on("live", () => this.#soon(() => this.#end && this.#ended(this.#end))),
      session.on("detached", (reason, error, how) => {
        if (reason === "superseded") report(error);
        this.#soon(() => this.#detached(how));
      }),
      session.onGap((gap) => this.#soon(() => this.#gap(gap))),
      session.on("message", (message) =>
        this.#soon(() => {
          this.#message(message);
          message.done();
        }),
      ),
    ];
    if (!this.#lasting) this.#offs.push(closeOnLeaving(session));
    if (session.link) changed(session.link);
  }

  /** Tells one thing a task, in order, as the standard does: code that awaits an event must not miss the next one. */
  #soon(event: () => void): void {
    this.#events.push(event);
    if (!this.#telling) this.#tell();
  }

  #tell(): void {
    const event = this.#events.shift();
    this.#telling = event !== undefined;
    if (!event) return;
    queueTask(() => this.#tell());
    event();
  }

  #state(state: StateEvent): void {
    if (this.#readyState === CLOSED || state.namespace !== undefined) return;
    if (state.state === "open") this.#linkOpened(state);
    else if (state.state === "closed" || state.state === "failed") this.#linkEnded(state);
    else if (state.state === "waiting" && this.#lasting && this.#readyState < CLOSING) {
      this.#warnings?.lost();
      this.#dropped = this.#readyState === OPEN;
      this.dispatchEvent(new CustomEvent("reconnecting", { detail: state }));
    }
  }

  #linkOpened(state: StateEvent): void {
    this.#protocol = state.subprotocol ?? this.#protocol;
    this.#extensions = state.extensions ?? this.#extensions;
    this.#warnings?.opened(this.#protocol, this.#dropped);
    if (this.#dropped) this.dispatchEvent(new CustomEvent("resumed", { detail: state }));
    this.#dropped = false;
    // The server must choose one of those that were offered.
    if (this.#offered && !this.#protocol) this.#fail();
    this.#open();
  }

  #linkEnded(state: StateEvent): void {
    // A lasting one is dialled anew by who comes back.
    if (state.past && this.#lasting) return;
    this.#end = state;
    // Without a number: the broker has only said so far that it is over. How comes with the records.
    if (state.seq !== undefined || this.#lasting) this.#ended(state);
  }

  #open(): void {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#opened = true;
    this.dispatchEvent(new Event("open"));
  }

  #gap(gap: GapEvent): void {
    // A standard socket has no word for a loss but its end.
    if (this.#lasting) this.dispatchEvent(new CustomEvent("gap", { detail: gap }));
    else this.#fail(gap.reason === "reset");
  }

  #message(message: Received): void {
    if (this.#readyState === CONNECTING) {
      // What came while the worker slept; the link may be away just now.
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

  #queue(size: number, content: () => Content): void {
    if (this.#readyState === OPEN && this.#outgoing) this.#outgoing.add(size, content());
    else this.#unsent += size;
  }

  /** The session is over; `how` is there when it was closed by somebody. */
  #detached(how: CloseReport | undefined): void {
    if (this.#end) this.#ended(this.#end);
    else if (how?.clean === false) this.#fail(this.#opened && !this.#lasting);
    else this.#ended(how?.code === undefined ? { ...this.#asked } : how);
  }

  /** The connection is over, well or not. */
  #ended({ code = 1006, reason = "", error }: Partial<StateEvent>): void {
    if (code !== 1006 && this.#opened) this.#finish(code, reason);
    // Browsers fire an error when they fail the connection, but not when an open one just breaks.
    else this.#fail(this.#opened && !this.#lasting && error?.code !== "server-protocol");
  }

  /** The standard's events do not say why; browsers tell the console. */
  #failFor(error: unknown): void {
    report(error);
    this.#soon(() => this.#fail());
  }

  #fail(quietly = false): void {
    this.#finish(1006, "", quietly ? undefined : new Event("error"));
  }

  #finish(code: number, reason: string, error?: Event): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#events.length = 0;
    for (const off of this.#offs.splice(0)) off();
    this.#unsent += this.#outgoing?.bytes ?? 0;
    this.#outgoing?.stop();
    this.#outgoing = undefined;
    // Whoever dials again begins anew, even in the events that follow.
    const end = (session: Session) => session.close().catch(() => undefined);
    if (this.#held) void end(this.#held);
    else this.#session.then(end, () => undefined);
    if (error) this.#soon(() => this.dispatchEvent(error));
    this.#soon(() => this.dispatchEvent(closeEvent({ wasClean: code !== 1006, code, reason })));
  }

  static {
    const { prototype } = LongwireSocket;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const isStandard = name !== "constructor" && name !== "session";
      if (isStandard) Object.defineProperty(prototype, name, { enumerable: true });
    }
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      for (const target of [LongwireSocket, prototype]) {
        Object.defineProperty(target, name, { value, enumerable: true });
      }
    }
    // As minified code has it, too.
    const value = "LongwireSocket";
    Object.defineProperty(LongwireSocket, "name", { value });
    Object.defineProperty(prototype, Symbol.toStringTag, { value, configurable: true });
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
