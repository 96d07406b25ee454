// `WebSocket` as the standard describes it, over a session. Where a lasting socket must differ it says so; with
// `{ reconnect: false }` it does not differ. It holds no state of the link beyond what the standard's attributes show.

import { type Bridge, type ConnectOptions, connect } from "./bridge.js";
import { report } from "./events.js";
import type { GapEvent } from "./inbox.js";
import { fromBase64, toBase64, toBytes, utf8Length, wellFormed } from "./payload.js";
import type { Received } from "./received.js";
import type { Session } from "./session.js";
import type { StateEvent } from "./session-types.js";
import { queueTask } from "./task.js";
import type { OpenOptions, Payload } from "./wire.js";

/** Options of `LongwireSocket`: those of a session, and where to find one. */
export interface SocketOptions extends Omit<OpenOptions, "subprotocols" | "format" | "reconnect"> {
  /**
   * `false`: exactly the standard's `WebSocket`; a drop is a `close`. Otherwise a drop is not: `readyState` stays
   * `OPEN`, what is sent waits in the broker, and `reconnecting`, `resumed` and `gap` events tell what happened.
   */
  reconnect?: OpenOptions["reconnect"];
  /** The session's name. Default: made of the URL, so that a restarted worker goes on where it was. */
  name?: string;
  /** The bridge to use, or how to connect. Default: `connect()`. */
  bridge?: Bridge | ConnectOptions;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

type Handler<Event_> = ((this: LongwireSocket, event: Event_) => unknown) | null;

/** The events of a `LongwireSocket`. The last three never come with `{ reconnect: false }`. */
export interface SocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  /** The link was lost; `detail` says when it is tried again. */
  reconnecting: CustomEvent<StateEvent>;
  /** The link is back; `detail.continuity` says whether the server may have said something meanwhile. */
  resumed: CustomEvent<StateEvent>;
  /** Messages were lost, in this place; `detail` says how many and why. */
  gap: CustomEvent<GapEvent>;
}

/** A `WebSocket` buffers without bound; this is as near as it gets. More fails the connection. */
const OUTBOX = { messages: 65536, bytes: 64 * 1024 * 1024 };

/** An event handler attribute that is set. */
interface Attribute extends EventListenerObject {
  call: unknown;
}

/** Names of sockets alive in this context, so that two to one URL do not share a session. */
const names = new Set<string>();

/** A drop-in for `WebSocket`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface below adds overloads of inherited methods only.
export class LongwireSocket extends EventTarget {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  readonly #url: string;
  readonly #lasting: boolean;
  readonly #name: string;
  readonly #session: Promise<Session>;
  #held: Session | undefined;
  #readyState = CONNECTING;
  #protocol = "";
  #extensions = "";
  #binaryType: BinaryType = "blob";
  #buffered = 0;
  #sending: Promise<unknown> | undefined;
  #asked: { code: number; reason: string } | undefined;
  #dropped = false;
  #opened = false;
  readonly #offered: boolean;
  /** What is to be told, each in a task of its own. */
  readonly #events: (() => void)[] = [];
  #telling = false;
  readonly #handlers = new Map<string, Attribute>();

  constructor(url: string | URL, protocols: string | string[] = [], options: SocketOptions = {}) {
    super();
    // biome-ignore lint/complexity/noArguments: tells no argument from `undefined`, as WebIDL does.
    if (arguments.length === 0) throw new TypeError("1 argument required");
    this.#url = parseUrl(url);
    const subprotocols = parseProtocols(protocols);
    const { name, bridge, ...session } = options as SocketOptions & { reconnect: false };
    this.#offered = subprotocols.length > 0;
    this.#lasting = options.reconnect !== false;
    this.#name = name ?? (this.#lasting ? lastingName(this.#url) : `socket ${crypto.randomUUID()}`);
    names.add(this.#name);
    // The standard's socket dies with its context and keeps nothing.
    const keep = this.#lasting ? { outbox: OUTBOX } : { outbox: OUTBOX, linger: 0, expire: 0 };
    const road = bridge && "open" in bridge ? bridge : connect(bridge);
    this.#session = road.open(this.#name, this.#url, {
      ...keep,
      ...session,
      subprotocols: this.#offered ? subprotocols : undefined,
      ack: "manual",
      waitForHost: false,
    });
    this.#session.then(
      (opened) => this.#attach(opened),
      (error: unknown) => {
        // The standard's events do not say why; browsers tell the console.
        report(error);
        this.#fail();
      },
    );
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
  /** Bytes given to `send` that have not been taken yet. Does not go back to zero after `close`. */
  get bufferedAmount(): number {
    return this.#buffered;
  }
  /** The extensions the server chose. */
  get extensions(): string {
    return this.#extensions;
  }
  /** The subprotocol the server chose. */
  get protocol(): string {
    return this.#protocol;
  }
  /** `blob` (default) or `arraybuffer`: how bytes arrive. Other values are ignored. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }
  set binaryType(type: BinaryType) {
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }
  /** The session behind the socket, for what the standard does not offer. */
  get session(): Promise<Session> {
    return this.#session;
  }
  get [Symbol.toStringTag](): string {
    return "LongwireSocket";
  }

  // ---- methods ----

  /** Sends text or bytes. Throws while connecting; says nothing when closed, as the standard has it. */
  send(data: string | Blob | ArrayBufferLike | ArrayBufferView): void {
    // biome-ignore lint/complexity/noArguments: tells no argument from `undefined`, as WebIDL does.
    if (arguments.length === 0) throw new TypeError("1 argument required");
    if (this.#readyState === CONNECTING) {
      throw new DOMException("Still CONNECTING", "InvalidStateError");
    }
    if (data instanceof Blob) {
      this.#queue(
        data.size,
        data.arrayBuffer().then((buffer) => ({ base64: toBase64(new Uint8Array(buffer)) })),
      );
      return;
    }
    const bytes = toBytes(data);
    if (bytes) {
      this.#queue(bytes.length, { base64: toBase64(bytes) });
    } else {
      // Not `String(data)`: a symbol must throw.
      const text = wellFormed(`${data}`);
      this.#queue(utf8Length(text), { text });
    }
  }

  /** Closes. With a lasting socket, ends the session for everybody. */
  close(code?: number, reason = ""): void {
    // 1005: the frame has no code.
    const wanted = code === undefined ? 1005 : clampShort(code);
    if (code !== undefined && wanted !== 1000 && (wanted < 3000 || wanted > 4999)) {
      throw new DOMException(`Close code ${wanted} is neither 1000 nor 3000 to 4999`, "InvalidAccessError");
    }
    const text = wellFormed(`${reason}`);
    if (utf8Length(text) > 123) {
      throw new DOMException("The close reason is longer than 123 bytes", "SyntaxError");
    }
    if (this.#readyState >= CLOSING) return;
    const connecting = this.#readyState === CONNECTING;
    this.#readyState = CLOSING;
    this.#asked = { code: wanted, reason: text };
    const hangUp = async () => {
      const session = await this.#session;
      await this.#sending;
      await session.close(wanted, text);
    };
    void hangUp().then(
      () => this.#soon(() => this.#ended({})),
      () => this.#fail(),
    );
    // The standard calls this failing: an error, and 1006.
    if (connecting) queueTask(() => this.#fail());
  }

  // ---- the link ----

  #attach(session: Session): void {
    this.#held = session;
    const changed = (state: StateEvent) => this.#soon(() => this.#state(state));
    session.onLink(changed);
    session.on("detached", () => this.#soon(() => this.#ended({})));
    session.onGap((gap) =>
      this.#soon(() => {
        // A standard socket has no word for a loss but its end.
        if (this.#lasting) this.#fire(new CustomEvent("gap", { detail: gap }));
        else this.#fail(gap.reason === "reset");
      }),
    );
    if (session.link) changed(session.link);
    session.on("message", (message) =>
      this.#soon(() => {
        this.#message(message);
        message.done();
      }),
    );
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
    if (state.state === "open") {
      this.#protocol = state.subprotocol ?? this.#protocol;
      this.#extensions = state.extensions ?? this.#extensions;
      if (this.#dropped) this.#fire(new CustomEvent("resumed", { detail: state }));
      this.#dropped = false;
      // The server must choose one of those that were offered.
      if (this.#offered && !this.#protocol) this.#fail();
      this.#open();
    } else if (state.state === "closed" || state.state === "failed") {
      if (!state.past) this.#ended(state);
    } else if (state.state === "waiting" && this.#lasting && this.#readyState < CLOSING) {
      this.#dropped = this.#readyState === OPEN;
      this.#fire(new CustomEvent("reconnecting", { detail: state }));
    }
  }

  #open(): void {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#opened = true;
    this.#fire(new Event("open"));
  }

  #message(message: Received): void {
    if (this.#readyState === CONNECTING) {
      // What came while the worker slept; the link may be away just now.
      this.#open();
      this.#dropped = this.#held?.state !== "open";
    }
    if (this.#readyState !== OPEN) return;
    const origin = new URL(this.#url).origin;
    this.#fire(new MessageEvent("message", { data: this.#content(message), origin }));
  }

  #content(message: Received): unknown {
    if (message.base64 === undefined) return message.text ?? JSON.stringify(message.data);
    const bytes = fromBase64(message.base64);
    return this.#binaryType === "blob" ? new Blob([bytes]) : bytes.buffer;
  }

  #queue(size: number, payload: Payload | Promise<Payload>): void {
    this.#buffered += size;
    if (this.#readyState !== OPEN) return;
    // What follows a Blob waits for it, so that order is kept.
    const before = this.#sending;
    if (!before && !(payload instanceof Promise)) {
      this.#hand(size, payload);
      return;
    }
    const turn = (async () => {
      await before;
      this.#hand(size, await payload);
    })();
    const settled = turn.catch(report).then(() => {
      if (this.#sending === settled) this.#sending = undefined;
    });
    this.#sending = settled;
  }

  #hand(size: number, payload: Payload): void {
    this.#held?.hand(payload).then(
      () => {
        this.#buffered -= size;
      },
      // The standard fails the connection when its buffer is full.
      () => this.#fail(),
    );
  }

  /** The connection is over, well or not. */
  #ended(state: Partial<StateEvent>): void {
    if (this.#readyState === CLOSED) return;
    const code = this.#asked?.code ?? state.code ?? 1006;
    const clean = code !== 1006 && this.#opened;
    if (!clean) {
      // Browsers fire an error when they fail the connection, but not when an open one just breaks.
      const broke = this.#opened && !this.#lasting && state.error?.code !== "server-protocol";
      this.#fail(broke);
      return;
    }
    const reason = this.#asked?.reason ?? state.reason ?? "";
    this.#finish(new CloseEvent("close", { wasClean: true, code, reason }));
  }

  #fail(quietly = false): void {
    if (this.#readyState === CLOSED) return;
    const close = new CloseEvent("close", { wasClean: false, code: 1006, reason: "" });
    this.#finish(close, quietly ? undefined : new Event("error"));
  }

  #finish(close: CloseEvent, error?: Event): void {
    this.#readyState = CLOSED;
    names.delete(this.#name);
    // Whoever dials again begins anew, even in the events that follow.
    const end = (session: Session) => session.close().catch(() => undefined);
    if (this.#held) void end(this.#held);
    else this.#session.then(end, () => undefined);
    if (error) this.#fire(error);
    this.#fire(close);
  }

  #fire(event: Event): void {
    this.dispatchEvent(event);
  }

  // ---- event handler attributes ----

  #get(name: string): Handler<Event> {
    return (this.#handlers.get(name)?.call as Handler<Event>) ?? null;
  }

  /** As the HTML standard has it: a handler keeps its place in the order when it is replaced. */
  #set(name: string, call: unknown): void {
    const held = this.#handlers.get(name);
    if (typeof call !== "function" && (typeof call !== "object" || call === null)) {
      if (held) this.removeEventListener(name, held);
      this.#handlers.delete(name);
    } else if (held) {
      held.call = call;
    } else {
      const entry: Attribute = {
        call,
        handleEvent: (event: Event) => {
          if (typeof entry.call === "function") (entry.call as (event: Event) => unknown).call(this, event);
        },
      };
      this.#handlers.set(name, entry);
      this.addEventListener(name, entry);
    }
  }

  get onopen(): Handler<Event> {
    return this.#get("open");
  }
  set onopen(call: Handler<Event>) {
    this.#set("open", call);
  }
  get onmessage(): Handler<MessageEvent> {
    return this.#get("message") as Handler<MessageEvent>;
  }
  set onmessage(call: Handler<MessageEvent>) {
    this.#set("message", call);
  }
  get onerror(): Handler<Event> {
    return this.#get("error");
  }
  set onerror(call: Handler<Event>) {
    this.#set("error", call);
  }
  get onclose(): Handler<CloseEvent> {
    return this.#get("close") as Handler<CloseEvent>;
  }
  set onclose(call: Handler<CloseEvent>) {
    this.#set("close", call);
  }
}

/** Typed listeners, beside the plain ones of `EventTarget`. */
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

Object.assign(LongwireSocket.prototype, { CONNECTING, OPEN, CLOSING, CLOSED });

/** The URL as the standard resolves it; throws `SyntaxError`. */
function parseUrl(given: string | URL): string {
  try {
    const url = new URL(given, globalThis.location?.href);
    url.protocol = url.protocol.replace(/^http(?=s?:)/, "ws");
    if (/^wss?:[^#]*$/.test(url.href)) return url.href;
  } catch {
    // Told below.
  }
  throw new DOMException(`Not a WebSocket URL without a fragment: ${given}`, "SyntaxError");
}

function parseProtocols(given: string | string[]): string[] {
  // As WebIDL has it: what cannot be iterated is a string, `null` included.
  const many = typeof given === "object" && given?.[Symbol.iterator];
  const list = (many ? [...given] : [given]).map(String);
  const seen = new Set<string>();
  for (const one of list) {
    const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(one);
    if (!token || seen.has(one)) {
      throw new DOMException(`Subprotocol invalid or repeated: ${one}`, "SyntaxError");
    }
    seen.add(one);
  }
  return list;
}

/** A name made of the URL without what may be secret, the same after every restart of the worker. */
function lastingName(url: string): string {
  const { origin, pathname } = new URL(url);
  const base = `socket ${origin}${pathname}`.slice(0, 120);
  let name = base;
  for (let count = 2; names.has(name); count += 1) name = `${base} ${count}`;
  return name;
}

/** WebIDL's `[Clamp] unsigned short`. */
function clampShort(value: number): number {
  const clamped = Math.min(Math.max(Number(value) || 0, 0), 65535);
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
