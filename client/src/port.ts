// The lifecycle of the port to the native host: connect, hello, loss, retry, failure. It handles only the frames that concern
// the connection to the broker, and passes on all others.

import type { Clock, ExtensionApi, NativePort } from "./browser-api.js";
import { fromBrowser, fromWire, type HostContext, LongwireError, local } from "./errors.js";
import { unroll } from "./messages.js";
import { Joiner, SLICE, split } from "./parts.js";
import type {
  Batch,
  ErrorFrame,
  Hello,
  HostFrame,
  Messages,
  Part,
  ToBroker,
  ToExtension,
  Welcome,
} from "./wire.js";

/**
 * `resting`: no port, and none needed. `connecting`: a port is open, the broker has not answered. `ready`: connected.
 * `waiting`: the port closed, the SDK opens another. `failed`: the SDK opens no port until `connect()` is called.
 */
export type PortState = "resting" | "connecting" | "ready" | "waiting" | "failed";

/** What the port needs, and its callbacks. */
export interface PortHost {
  readonly api: ExtensionApi;
  readonly clock: Clock;
  readonly context: HostContext;
  /** Opens ports in place of the browser's `connectNative`: to a host, or to a fallback. */
  readonly open?: ((host: string) => NativePort) | undefined;
  /** The greeting. */
  hello(): Hello;
  /** The broker has answered: unanswered frames must be sent again. */
  ready(welcome: Welcome): void;
  /** A frame, taken out of its parts or batch. */
  frame(frame: ToExtension): void;
  /** The attachment is lost; another attempt follows. */
  lost(error: LongwireError): void;
  /** There is no further attempt until `start`. */
  failed(error: LongwireError): void;
  state(state: PortState, error?: LongwireError): void;
}

/** A port that was open for fewer milliseconds counts as short. */
export const SHORT_PORT = 2000;
/** Errors that an installation or a policy fixes: the SDK searches for the host again. A search starts no process. */
const MISSING = /^host-(not-found|forbidden|blocked)$/;
/** After this many short ports in a row no further host is started. */
export const MAX_SHORT_PORTS = 3;
/** Milliseconds for the broker's answer to `hello`. `host starting` restarts them. */
export const GREETING_TIMEOUT = 20_000;
const MIN_RETRY_DELAY = 250;
const MAX_RETRY_DELAY = 30_000;
/** Encoded length at which a batch is closed, in UTF-16 units. */
const MAX_BATCH_LENGTH = 128 * 1024;

/** The connection to the native host: at most one port at a time. */
export class HostPort {
  readonly #host: PortHost;
  readonly #open: ((host: string) => NativePort) | undefined;
  #state: PortState = "resting";
  #port: NativePort | undefined;
  #joiner = new Joiner();
  #out: ToBroker[] = [];
  #openedAt = 0;
  #shortPorts = 0;
  #failures = 0;
  #timer: unknown;
  #parts = 0;
  /** There was no host at the last attempt. Searches do not change the state: it stays `failed` until there is one. */
  #missing = false;
  /** The last error of the host before the port closed. */
  #lastError: LongwireError | undefined;

  constructor(host: PortHost) {
    const { runtime } = host.api;
    this.#open = host.open ?? runtime.connectNative?.bind(runtime);
    this.#host = host;
  }

  get state(): PortState {
    return this.#state;
  }

  /** Whether there was no host at the last attempt. */
  get missing(): boolean {
    return this.#missing;
  }

  /** Why sessions run in the browser; undefined while the host has them. */
  get hostError(): LongwireError | undefined {
    return this.#port?.hostError;
  }

  /** Opens a port if there is none, also after `failed`. */
  start(): void {
    this.#port?.look?.();
    if (this.#port || (this.#state !== "resting" && this.#state !== "failed")) return;
    this.#host.clock.clearTimeout(this.#timer);
    this.#shortPorts = 0;
    this.#failures = 0;
    if (!this.#missing) this.#enter("connecting");
    this.#dial();
  }

  /** Closes the port and opens none. */
  rest(): void {
    this.#flush();
    this.#drop()?.disconnect();
    this.#missing = false;
    this.#enter("resting");
  }

  /** Sends a frame. Frames of one turn are sent together. Without a broker it is dropped: the caller sends it again. */
  post(frame: ToBroker): void {
    if (this.#state !== "ready") return;
    this.#out.push(frame);
    if (this.#out.length === 1) queueMicrotask(() => this.#flush());
  }

  #enter(state: PortState, error?: LongwireError): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#host.state(state, error);
  }

  #dial(): void {
    const { clock, context, api } = this.#host;
    this.#openedAt = clock.now();
    if (!this.#open) {
      const text = "this context may not use native messaging";
      this.#giveUp(local("permission-missing", text, "action", context));
      return;
    }
    let port: NativePort;
    try {
      // The listeners must be added in the same turn: the browser drops earlier events.
      port = this.#open(context.host);
      port.onMessage.addListener((frame) => {
        if (port === this.#port) this.#take(frame);
      });
      port.onDisconnect.addListener((closed) => {
        // Chromium logs an error that is not read.
        const reason = api.runtime.lastError?.message ?? (closed ?? port).error?.message;
        if (port === this.#port) this.#portLost(this.#lastError ?? fromBrowser(reason, context));
      });
    } catch (error) {
      this.#portLost(fromBrowser((error as Error).message, context));
      return;
    }
    this.#port = port;
    this.#greet();
  }

  #greet(): void {
    this.#wait();
    this.#write([this.#host.hello()]);
  }

  #wait(): void {
    this.#host.clock.clearTimeout(this.#timer);
    this.#timer = this.#host.clock.setTimeout(() => {
      const error = local("host-silent", "the native host did not answer", "later", this.#host.context);
      this.#port?.disconnect();
      this.#portLost(this.#lastError ?? error);
    }, GREETING_TIMEOUT);
  }

  // ---- in ----

  #take(frame: unknown): void {
    const { type } = (frame ?? {}) as { type?: unknown };
    if (type === "batch" || type === "messages") {
      const port = this.#port;
      const frames = type === "batch" ? (frame as Batch<unknown>).frames : unroll(frame as Messages);
      for (const one of frames ?? []) {
        // A callback may have closed the port.
        if (port === this.#port) this.#take(one);
      }
    } else if (type === "part") {
      const whole = this.#joiner.take(frame as Part);
      if (whole) this.#take(whole);
    } else if (type === "welcome") {
      this.#welcome(frame as Welcome);
    } else if (type === "host") {
      this.#hostFrame(frame as HostFrame);
    } else if (type === "error" && this.#state !== "ready") {
      this.#refused(frame as ErrorFrame);
    } else if (typeof type === "string") {
      this.#host.frame(frame as ToExtension);
    }
  }

  #welcome(welcome: Welcome): void {
    this.#host.clock.clearTimeout(this.#timer);
    this.#failures = 0;
    this.#missing = false;
    this.#lastError = undefined;
    this.#enter("ready");
    this.#host.ready(welcome);
  }

  #hostFrame(frame: HostFrame): void {
    const error = fromWire({ ...frame, retry: "later" });
    if (frame.state === "starting") {
      this.#wait();
    } else if (frame.state === "lost") {
      this.#forget();
      this.#wait();
      this.#enter("connecting", error);
      this.#host.lost(error);
    } else if (frame.state === "back") {
      this.#forget();
      this.#enter("connecting");
      this.#greet();
    } else if (frame.state === "failed") {
      this.#port?.disconnect();
      this.#portLost(error);
    }
  }

  /** An error before the welcome concerns the greeting. */
  #refused(frame: ErrorFrame): void {
    const error = fromWire(frame);
    if (frame.retry === "now" || frame.retry === "later") {
      this.#lastError = error;
    } else {
      this.#port?.disconnect();
      this.#giveUp(error);
    }
  }

  // ---- out ----

  #flush(): void {
    if (this.#state === "ready" && this.#out.length > 0) this.#write(this.#out.splice(0));
  }

  #write(frames: ToBroker[]): void {
    let batch: ToBroker[] = [];
    let size = 0;
    const close = () => {
      const [only] = batch;
      if (only) this.#postMessage(batch.length === 1 ? only : { type: "batch", frames: batch });
      batch = [];
      size = 0;
    };
    for (const frame of frames) {
      const encoded = JSON.stringify(frame);
      if (size + encoded.length > MAX_BATCH_LENGTH) close();
      if (encoded.length > SLICE) {
        this.#parts += 1;
        for (const part of split(encoded, `p${this.#parts}`)) this.#postMessage(part);
      } else {
        batch.push(frame);
        size += encoded.length;
      }
    }
    close();
  }

  #postMessage(message: unknown): void {
    try {
      this.#port?.postMessage(message);
    } catch (error) {
      this.#portLost(fromBrowser((error as Error).message, this.#host.context));
    }
  }

  // ---- the end of a port ----

  /** Removes the port and its state. */
  #drop(): NativePort | undefined {
    const port = this.#port;
    this.#port = undefined;
    this.#lastError = undefined;
    this.#host.clock.clearTimeout(this.#timer);
    this.#forget();
    return port;
  }

  #forget(): void {
    this.#joiner = new Joiner();
    this.#out = [];
  }

  #portLost(error: LongwireError): void {
    const duration = this.#host.clock.now() - this.#openedAt;
    this.#drop();
    this.#shortPorts = duration < SHORT_PORT ? this.#shortPorts + 1 : 0;
    const { retry, message, originalMessage } = error;
    if (retry === "no" || retry === "action") {
      this.#giveUp(error);
      return;
    }
    if (this.#shortPorts >= MAX_SHORT_PORTS) {
      const text = `longwire: ${MAX_SHORT_PORTS} native hosts in a row exited within ${SHORT_PORT / 1000} s; the last: ${message}`;
      const more = { retry: "action", originalMessage, detail: error } as const;
      this.#giveUp(new LongwireError("host-keeps-dying", text, more));
      return;
    }
    const cap = Math.min(MAX_RETRY_DELAY, MIN_RETRY_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = this.#host.clock.setTimeout(() => {
      this.#enter("connecting");
      this.#dial();
    }, this.#host.clock.random() * cap);
    this.#missing = false;
    this.#enter("waiting", error);
    this.#host.lost(error);
  }

  #giveUp(error: LongwireError): void {
    this.#drop();
    this.#missing = MISSING.test(error.code);
    this.#enter("failed", error);
    this.#host.failed(error);
  }
}
