// The port of a bridge with a fallback. It routes frames to the native host, or to the broker in the browser while there is no
// host, or to both while sessions move. It stores no messages.

import type { NativePort } from "../browser-api.js";
import type { ErrorCode, LongwireError } from "../errors.js";
import type { FallbackRequest } from "../fallback-registry.js";
import { Joiner } from "../parts.js";
import type { Batch, Hello, Open, Part, ToBroker, ToExtension, Welcome } from "../wire.js";
import type { HostAvailability, OpenKnown } from "./broker.js";
import { ExtensionEvent } from "./event.js";
import type { Handover, ToRouter } from "./from-broker.js";
import type { BrokerChannel, BrokerLocation } from "./location.js";
import { Notes } from "./notes.js";
import { withoutOwnCookies } from "./own-cookies.js";

/** Milliseconds between probes for the host while this context runs. An alarm probes too. */
const PROBE_INTERVAL = 20_000;
/** Milliseconds that a host has to answer a probe. */
const PROBE_TIMEOUT = 20_000;
/** Milliseconds that a broker in the browser has to answer. */
const GREETING_TIMEOUT = 5000;
/** Milliseconds between calls that keep an idle worker alive. */
const AWAKE_INTERVAL = 20_000;
/** Errors that only a user or administrator can fix. */
const PERMANENT = new Set<ErrorCode>([
  "host-not-found",
  "host-forbidden",
  "host-blocked",
  "permission-missing",
]);

/** The browser's error for a missing permission, where it does not offer native messaging at all. */
const NOT_PERMITTED = "nativeMessaging permission is missing";

/** Frames of the bridge, one or several at once. */
type FromBridge = ToBroker | Batch<FromBridge> | Part;
/** Frames of the native host. */
type FromHost = ToExtension | Batch<FromHost>;

/** The session that a frame is about. */
const sessionOf = (frame: { session?: string } | { type: string }): string =>
  ("session" in frame && frame.session) || "";

/** One port of a bridge. */
export class RoutedPort implements NativePort {
  readonly onMessage = new ExtensionEvent<[message: unknown]>();
  readonly onDisconnect = new ExtensionEvent<[port: NativePort]>();
  error: { message?: string } | null = null;
  hostError: LongwireError | undefined;
  readonly #request: FallbackRequest;
  readonly #host: string;
  readonly #location: BrokerLocation;
  #notes: Notes | undefined;
  #hello: Hello | undefined;
  #native: NativePort | undefined;
  #isNativeReady = false;
  #channel: BrokerChannel | undefined;
  #browserSessions: Welcome["sessions"] = [];
  #browserWelcome: Welcome | undefined;
  /** Resolves the handshake with the broker in the browser. */
  #welcomed: ((welcome: Welcome | undefined) => void) | undefined;
  /** Sessions that the broker in the browser holds. */
  readonly #held = new Set<string>();
  /** Sessions that end with their connection. */
  readonly #ephemeral = new Set<string>();
  /** Unsent messages to send to the host once their session is open there. */
  readonly #handovers = new Map<string, Handover>();
  /** Sessions to move as soon as this port has a host. */
  readonly #pendingMoves: Handover[] = [];
  /** The parts of a frame that is not complete. */
  #parts: unknown[] = [];
  readonly #joiner = new Joiner();
  #probeTimer: unknown;
  #awakeTimer: unknown;
  #isClosed = false;

  constructor(request: FallbackRequest, host: string, location: BrokerLocation) {
    this.#request = request;
    this.#host = host;
    this.#location = location;
    // After the caller's greeting.
    queueMicrotask(() => void this.#begin());
  }

  postMessage(message: unknown): void {
    if (this.#isClosed) throw new Error("Attempting to use a disconnected port object");
    const frame = message as FromBridge;
    if (frame.type === "hello") this.#handleHello(frame);
    else if (!this.#channel) this.#native?.postMessage(frame);
    else this.#route(frame);
  }

  disconnect(): void {
    this.#isClosed = true;
    const { clock } = this.#request;
    clock.clearTimeout(this.#probeTimer);
    clock.clearTimeout(this.#awakeTimer);
    this.#native?.disconnect();
    this.#native = undefined;
    this.#channel?.disconnect();
    this.#channel = undefined;
    this.#welcomed?.(undefined);
  }

  /** Probes for the host now. */
  look(): void {
    if (this.hostError && !this.#native && !this.#isClosed) this.#dial();
  }

  #emit(frame: unknown): void {
    if (!this.#isClosed) this.onMessage.fire(frame);
  }

  #end(message: string | undefined): void {
    if (this.#isClosed) return;
    this.disconnect();
    this.error = message === undefined ? null : { message };
    this.onDisconnect.fire(this);
  }

  // ---- beginning ----

  async #begin(): Promise<void> {
    const { profile = "default", client = "main" } = this.#hello ?? {};
    this.#notes = new Notes(this.#request.api, profile, client);
    await this.#notes.load();
    // Sessions that are open in the browser stay there until their connection ends.
    const channel = await this.#location.find(this.#channelEvents()).catch(() => undefined);
    if (channel) await this.#handshake(channel);
    if (!this.#isClosed) this.#dial();
  }

  #handleHello(hello: Hello): void {
    const again = this.#hello !== undefined;
    this.#hello = hello;
    if (again) this.#native?.postMessage(hello);
  }

  /** Sends `hello` to the broker in the browser; resolves with `welcome`. */
  async #handshake(channel: BrokerChannel): Promise<Welcome | undefined> {
    if (this.#isClosed) {
      channel.disconnect();
      return undefined;
    }
    this.#channel = channel;
    const { clock } = this.#request;
    let timer: unknown;
    const welcome = await new Promise<Welcome | undefined>((resolve) => {
      this.#welcomed = resolve;
      timer = clock.setTimeout(() => resolve(undefined), GREETING_TIMEOUT);
      channel.post(this.#hello);
    });
    clock.clearTimeout(timer);
    this.#welcomed = undefined;
    if (!welcome) {
      channel.disconnect();
      this.#channel = undefined;
      return undefined;
    }
    this.#browserWelcome = welcome;
    this.#browserSessions = welcome.sessions;
    for (const { session } of welcome.sessions) this.#held.add(session);
    return welcome;
  }

  // ---- the host ----

  #dial(): void {
    const { api, clock } = this.#request;
    clock.clearTimeout(this.#probeTimer);
    if (!api.runtime.connectNative) {
      this.#noHost(this.#request.explain(NOT_PERMITTED), undefined);
      return;
    }
    try {
      const port = api.runtime.connectNative(this.#host);
      this.#native = port;
      port.onMessage.addListener((frame) => {
        if (port === this.#native) this.#fromNative(frame as FromHost);
      });
      port.onDisconnect.addListener((closed) => {
        const reason = api.runtime.lastError?.message ?? (closed ?? port).error?.message;
        if (port === this.#native) this.#nativeLost(reason ?? undefined);
      });
      port.postMessage(this.#hello);
    } catch (error) {
      this.#nativeLost((error as Error).message);
      return;
    }
    if (this.hostError) this.#probeTimer = clock.setTimeout(() => this.#stopProbe(), PROBE_TIMEOUT);
  }

  #nativeLost(reason: string | undefined): void {
    this.#native = undefined;
    const error = this.#request.explain(reason);
    const isPermanent =
      PERMANENT.has(error.code) || (error.code === "host-not-started" && error.retry === "action");
    if (this.#isNativeReady || !(isPermanent || this.hostError)) this.#end(reason);
    else this.#noHost(isPermanent ? error : (this.hostError as LongwireError), reason);
  }

  /** The probed host did not answer. */
  #stopProbe(): void {
    this.#native?.disconnect();
    this.#native = undefined;
    this.#noHost(this.hostError as LongwireError, undefined);
  }

  #noHost(error: LongwireError, reason: string | undefined): void {
    const isFirst = this.hostError === undefined;
    this.hostError = error;
    this.#probeTimer = this.#request.clock.setTimeout(() => this.#dial(), PROBE_INTERVAL);
    if (isFirst) void this.#goToBrowser(reason);
    // Another context has found a host that this one cannot reach.
    for (const moved of this.#pendingMoves.splice(0)) {
      this.#channel?.post({ type: "host-available", isAvailable: false } satisfies HostAvailability);
      this.#emit(moved);
    }
  }

  #fromNative(frame: FromHost): void {
    if (frame.type === "batch") {
      for (const one of frame.frames) this.#fromNative(one);
    } else if (frame.type === "welcome") this.#nativeReady(frame);
    else if (this.#isNativeReady) this.#nativeFrame(frame);
    else if (!this.hostError) this.#emit(frame);
    else if (frame.type === "error" || (frame.type === "host" && frame.state === "failed")) this.#stopProbe();
  }

  #nativeReady(welcome: Welcome): void {
    const { clock } = this.#request;
    clock.clearTimeout(this.#probeTimer);
    clock.clearTimeout(this.#awakeTimer);
    this.#isNativeReady = true;
    this.hostError = undefined;
    this.#channel?.post({ type: "host-available", isAvailable: true } satisfies HostAvailability);
    const sessions = [
      ...welcome.sessions,
      ...this.#browserSessions.filter(({ session }) => this.#held.has(session)),
    ];
    this.#emit({ ...welcome, sessions });
    for (const moved of this.#pendingMoves.splice(0)) this.#moved(moved);
    this.#closeIfEmpty();
  }

  #nativeFrame(frame: Exclude<FromHost, Batch<FromHost>>): void {
    const session = sessionOf(frame);
    const moved = this.#handovers.get(session);
    if (moved && frame.type === "opened") {
      const { frames } = moved;
      this.#handovers.delete(session);
      const outbox = [...frame.outbox, ...frames.map(({ id = "" }) => ({ id, state: "waiting" }))];
      this.#emit({ ...frame, outbox });
      // Before the session's own frames, which are sent at the end of this turn.
      for (const one of frames) this.#native?.postMessage(one);
    } else {
      const isRefused = frame.type === "error" && /no|action/.test(frame.retry);
      if (isRefused) this.#handovers.delete(session);
      this.#emit(frame);
    }
  }

  // ---- the broker in the browser ----

  async #goToBrowser(reason: string | undefined): Promise<void> {
    try {
      const welcome = this.#channel
        ? this.#browserWelcome
        : await this.#handshake(await this.#location.open(this.#channelEvents()));
      if (!welcome) throw new Error("no answer");
      this.#channel?.post({ type: "host-available", isAvailable: false } satisfies HostAvailability);
      this.#keepAwake();
      this.#emit(welcome);
    } catch {
      // As if there were no fallback.
      this.#end(reason ?? this.hostError?.originalMessage);
    }
  }

  #channelEvents() {
    return {
      frame: (frame: ToRouter) => this.#fromBrowser(frame),
      closed: () => this.#browserLost(),
    };
  }

  #fromBrowser(frame: ToRouter): void {
    if (frame.type === "batch") {
      for (const one of frame.frames) this.#fromBrowser(one);
    } else if (this.#welcomed) {
      this.#welcomed(frame.type === "welcome" ? frame : undefined);
    } else if (frame.type === "moved") {
      if (this.#isNativeReady) this.#moved(frame);
      else {
        this.#pendingMoves.push(frame);
        this.look();
      }
    } else {
      const session = sessionOf(frame);
      if (frame.type === "opened" && !this.#ephemeral.has(session)) this.#notes?.add(session);
      this.#emit(frame);
      if (frame.type === "detached" && frame.reason !== "superseded") {
        this.#notes?.delete(session);
        this.#left(session);
      }
    }
  }

  /** Moves a session to the host. */
  #moved(moved: Handover): void {
    const { session } = moved;
    this.#handovers.set(session, moved);
    this.#held.delete(session);
    this.#emit({ type: "moved", session });
    this.#closeIfEmpty();
  }

  #left(session: string): void {
    this.#held.delete(session);
    this.#ephemeral.delete(session);
    this.#closeIfEmpty();
  }

  /** Disconnects from the broker in the browser when it has no sessions left and there is a host. */
  #closeIfEmpty(): void {
    if (!this.#isNativeReady || this.#held.size > 0 || !this.#channel) return;
    this.#channel.disconnect();
    this.#channel = undefined;
  }

  #browserLost(): void {
    if (this.#isClosed) return;
    if (this.#welcomed) {
      this.#welcomed(undefined);
      return;
    }
    this.#channel = undefined;
    const held = [...this.#held];
    this.#held.clear();
    if (this.#isNativeReady) for (const session of held) this.#emit({ type: "moved", session });
    else this.#end("the connections have ended");
  }

  /** Calls of extension APIs keep an idle worker alive. */
  #keepAwake(): void {
    const { api, clock, keepsAwake } = this.#request;
    if (!keepsAwake || !this.#location.isBackground) return;
    this.#awakeTimer = clock.setTimeout(() => {
      void api.runtime.getPlatformInfo?.().catch(() => undefined);
      this.#keepAwake();
    }, AWAKE_INTERVAL);
  }

  // ---- out ----

  /** Sends a frame to the broker that has its session. */
  #route(frame: FromBridge): void {
    if (frame.type === "batch") {
      for (const one of frame.frames) this.#route(one);
    } else if (frame.type === "part") {
      this.#parts.push(frame);
      const whole = this.#joiner.take(frame);
      if (whole !== undefined) this.#send(whole as ToBroker, this.#parts.splice(0));
    } else this.#send(frame, [frame]);
  }

  #send(frame: ToBroker, raw: unknown[]): void {
    const isHere = this.#held.has(sessionOf(frame));
    if (this.#isNativeReady && !isHere) {
      if (frame.type === "open") this.#native?.postMessage(this.#openFrame(frame));
      else for (const one of raw) this.#native?.postMessage(one);
      return;
    }
    if (frame.type === "open") {
      const { session } = frame;
      this.#held.add(session);
      if (frame.options?.reconnect === false) this.#ephemeral.add(session);
      const options = frame.options && withoutOwnCookies(frame.options);
      const known = this.#notes?.has(session) ?? false;
      this.#channel?.post({ ...frame, ...(options ? { options } : {}), known } satisfies OpenKnown);
    } else if (frame.type === "authorize" && frame.failed === undefined) {
      this.#channel?.post(withoutOwnCookies(frame));
    } else this.#channel?.post(frame);
  }

  /** The `open` frame for the host of a session that may have been in the browser. */
  #openFrame(open: Open): Open {
    const target = open.url === undefined ? this.#handovers.get(open.session)?.target : undefined;
    const offered: Open = target ? { ...open, ...target, conflict: "keep" } : open;
    if (!this.#notes?.has(open.session)) return offered;
    this.#notes.delete(open.session);
    // Messages may be missing: the host must report a gap.
    return { ...offered, resume: open.resume ?? { epoch: "browser", seq: 0 } };
  }
}
