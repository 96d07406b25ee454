// The port that a bridge with a fallback has: to the native host where there is one, else to the broker in the browser, and to
// both while sessions go over. It keeps no message.

import type { NativePort } from "../browser-api.js";
import type { ErrorCode, LongwireError } from "../errors.js";
import type { FallbackRequest } from "../fallback-registry.js";
import { Joiner } from "../parts.js";
import type { Batch, Hello, Open, Opened, Part, ToExtension, Welcome } from "../wire.js";
import type { HostThere, OpenKnown } from "./broker.js";
import { Notes } from "./notes.js";
import type { BrokerWay, Place } from "./place.js";
import type { Moved } from "./session.js";
import { Signal } from "./signal.js";

/** Milliseconds between looks for the host while this context lives. An alarm looks too. */
const LOOK_INTERVAL = 20_000;
/** Milliseconds that a host has to answer when it is looked for. */
const LOOK_TIMEOUT = 20_000;
/** Milliseconds that a broker in the browser has to answer. */
const GREETING_TIMEOUT = 5000;
/** Milliseconds between calls that keep an idle worker alive. */
const AWAKE_INTERVAL = 20_000;
/** What only a person changes. */
const FOR_GOOD = new Set<ErrorCode>([
  "host-not-found",
  "host-forbidden",
  "host-blocked",
  "permission-missing",
]);

/** What a browser would say where it does not even offer native messaging. */
const NOT_PERMITTED = "nativeMessaging permission is missing";

type Frame = { type: string; session?: string; id?: string };

/** One port of a bridge. */
export class RoutedPort implements NativePort {
  readonly onMessage = new Signal<[message: unknown]>();
  readonly onDisconnect = new Signal<[port: NativePort]>();
  error: { message?: string } | null = null;
  hostError: LongwireError | undefined;
  readonly #request: FallbackRequest;
  readonly #host: string;
  readonly #place: Place;
  #notes: Notes | undefined;
  #hello: Hello | undefined;
  #native: NativePort | undefined;
  #isNativeReady = false;
  #way: BrokerWay | undefined;
  #browserSessions: Welcome["sessions"] = [];
  #wayWelcome: Welcome | undefined;
  /** Calls that wait for the answer of the broker in the browser. */
  #greeted: ((welcome: Welcome | undefined) => void) | undefined;
  /** Sessions that the broker in the browser holds. */
  readonly #held = new Set<string>();
  /** Of these the loss of a connection is the end. */
  readonly #ephemeral = new Set<string>();
  /** What goes over to the host with its session, once the session is open there. */
  readonly #handing = new Map<string, Moved>();
  /** Sessions that are to go over, before this port has a host. */
  readonly #leaving: Moved[] = [];
  /** The parts of a frame that is not complete. */
  #parts: unknown[] = [];
  readonly #joiner = new Joiner();
  #lookTimer: unknown;
  #awakeTimer: unknown;
  #isClosed = false;

  constructor(request: FallbackRequest, host: string, place: Place) {
    this.#request = request;
    this.#host = host;
    this.#place = place;
    // After the caller's greeting.
    queueMicrotask(() => void this.#begin());
  }

  postMessage(message: unknown): void {
    if (this.#isClosed) throw new Error("Attempting to use a disconnected port object");
    const { type } = message as Frame;
    if (type === "hello") this.#greet(message as Hello);
    else if (!this.#way) this.#native?.postMessage(message);
    else this.#route(message as Frame);
  }

  disconnect(): void {
    this.#isClosed = true;
    const { clock } = this.#request;
    clock.clearTimeout(this.#lookTimer);
    clock.clearTimeout(this.#awakeTimer);
    this.#native?.disconnect();
    this.#native = undefined;
    this.#way?.disconnect();
    this.#way = undefined;
    this.#greeted?.(undefined);
  }

  /** Looks now whether there is a host. */
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
    // What began in the browser goes on there until its connection ends.
    const way = await this.#place.find(this.#wayEvents()).catch(() => undefined);
    if (way) await this.#meet(way);
    if (!this.#isClosed) this.#dial();
  }

  #greet(hello: Hello): void {
    const again = this.#hello !== undefined;
    this.#hello = hello;
    if (again) this.#native?.postMessage(hello);
  }

  /** Greets the broker in the browser; resolves with its answer. */
  async #meet(way: BrokerWay): Promise<Welcome | undefined> {
    if (this.#isClosed) {
      way.disconnect();
      return undefined;
    }
    this.#way = way;
    const { clock } = this.#request;
    let timer: unknown;
    const welcome = await new Promise<Welcome | undefined>((resolve) => {
      this.#greeted = resolve;
      timer = clock.setTimeout(() => resolve(undefined), GREETING_TIMEOUT);
      way.post(this.#hello);
    });
    clock.clearTimeout(timer);
    this.#greeted = undefined;
    if (!welcome) {
      way.disconnect();
      this.#way = undefined;
      return undefined;
    }
    this.#wayWelcome = welcome;
    this.#browserSessions = welcome.sessions;
    for (const { session } of welcome.sessions) this.#held.add(session);
    return welcome;
  }

  // ---- the host ----

  #dial(): void {
    const { api, clock } = this.#request;
    clock.clearTimeout(this.#lookTimer);
    if (!api.runtime.connectNative) {
      this.#noHost(this.#request.explain(NOT_PERMITTED), undefined);
      return;
    }
    try {
      const port = api.runtime.connectNative(this.#host);
      this.#native = port;
      port.onMessage.addListener((frame) => {
        if (port === this.#native) this.#fromNative(frame as Frame);
      });
      port.onDisconnect.addListener((closed) => {
        const said = api.runtime.lastError?.message ?? (closed ?? port).error?.message;
        if (port === this.#native) this.#nativeLost(said ?? undefined);
      });
      port.postMessage(this.#hello);
    } catch (error) {
      this.#nativeLost((error as Error).message);
      return;
    }
    if (this.hostError) this.#lookTimer = clock.setTimeout(() => this.#stopLooking(), LOOK_TIMEOUT);
  }

  #nativeLost(said: string | undefined): void {
    this.#native = undefined;
    const error = this.#request.explain(said);
    const isForGood =
      FOR_GOOD.has(error.code) || (error.code === "host-not-started" && error.retry === "action");
    if (this.#isNativeReady || !(isForGood || this.hostError)) this.#end(said);
    else this.#noHost(isForGood ? error : (this.hostError as LongwireError), said);
  }

  /** The host that was looked for does not answer. */
  #stopLooking(): void {
    this.#native?.disconnect();
    this.#native = undefined;
    this.#noHost(this.hostError as LongwireError, undefined);
  }

  #noHost(error: LongwireError, said: string | undefined): void {
    const isFirst = this.hostError === undefined;
    this.hostError = error;
    this.#lookTimer = this.#request.clock.setTimeout(() => this.#dial(), LOOK_INTERVAL);
    if (isFirst) void this.#goToBrowser(said);
    // Another context has found a host that is not there for this one.
    for (const moved of this.#leaving.splice(0)) {
      this.#way?.post({ type: "host-there", isThere: false } satisfies HostThere);
      this.#emit(moved);
    }
  }

  #fromNative(frame: Frame): void {
    if (frame.type === "batch") {
      for (const one of (frame as unknown as Batch<Frame>).frames) this.#fromNative(one);
    } else if (frame.type === "welcome") this.#nativeReady(frame as unknown as Welcome);
    else if (this.#isNativeReady) this.#nativeFrame(frame);
    else if (!this.hostError) this.#emit(frame);
    else if (frame.type === "error" || (frame as { state?: string }).state === "failed") this.#stopLooking();
  }

  #nativeReady(welcome: Welcome): void {
    const { clock } = this.#request;
    clock.clearTimeout(this.#lookTimer);
    clock.clearTimeout(this.#awakeTimer);
    this.#isNativeReady = true;
    this.hostError = undefined;
    this.#way?.post({ type: "host-there", isThere: true } satisfies HostThere);
    const sessions = [
      ...welcome.sessions,
      ...this.#browserSessions.filter(({ session }) => this.#held.has(session)),
    ];
    this.#emit({ ...welcome, sessions });
    for (const moved of this.#leaving.splice(0)) this.#moved(moved);
    this.#leaveIfEmpty();
  }

  #nativeFrame(frame: Frame): void {
    const { session = "" } = frame;
    const moved = this.#handing.get(session);
    if (moved && frame.type === "opened") {
      const { frames } = moved;
      this.#handing.delete(session);
      const opened = frame as unknown as Opened;
      const outbox = [...opened.outbox, ...frames.map(({ id = "" }) => ({ id, state: "waiting" }))];
      this.#emit({ ...opened, outbox });
      // Before what the session says now, which leaves at the end of this turn.
      for (const one of frames) this.#native?.postMessage(one);
    } else {
      const isRefused = frame.type === "error" && /no|action/.test((frame as { retry?: string }).retry ?? "");
      if (isRefused) this.#handing.delete(session);
      this.#emit(frame);
    }
  }

  // ---- the broker in the browser ----

  async #goToBrowser(said: string | undefined): Promise<void> {
    try {
      const welcome = this.#way
        ? this.#wayWelcome
        : await this.#meet(await this.#place.open(this.#wayEvents()));
      if (!welcome) throw new Error("no answer");
      this.#way?.post({ type: "host-there", isThere: false } satisfies HostThere);
      this.#stayAwake();
      this.#emit(welcome);
    } catch {
      // As if there were no fallback.
      this.#end(said ?? this.hostError?.originalMessage);
    }
  }

  #wayEvents() {
    return {
      frame: (frame: ToExtension) => this.#fromBrowser(frame as Frame),
      closed: () => this.#browserLost(),
    };
  }

  #fromBrowser(frame: Frame): void {
    const { type, session = "" } = frame;
    if (type === "batch") {
      for (const one of (frame as unknown as Batch<Frame>).frames) this.#fromBrowser(one);
    } else if (this.#greeted) {
      this.#greeted(type === "welcome" ? (frame as unknown as Welcome) : undefined);
    } else if (type === "moved") {
      const moved = frame as unknown as Moved;
      if (this.#isNativeReady) this.#moved(moved);
      else {
        this.#leaving.push(moved);
        this.look();
      }
    } else {
      if (type === "opened" && !this.#ephemeral.has(session)) this.#notes?.add(session);
      const { reason } = frame as { reason?: string };
      this.#emit(frame);
      if (type === "detached" && reason !== "superseded") {
        this.#notes?.delete(session);
        this.#left(session);
      }
    }
  }

  /** A session goes over to the host. */
  #moved(moved: Moved): void {
    const { session } = moved;
    this.#handing.set(session, moved);
    this.#held.delete(session);
    this.#emit({ type: "moved", session });
    this.#leaveIfEmpty();
  }

  #left(session: string): void {
    this.#held.delete(session);
    this.#ephemeral.delete(session);
    this.#leaveIfEmpty();
  }

  /** With a host, a broker in the browser that holds nothing is not needed. */
  #leaveIfEmpty(): void {
    if (!this.#isNativeReady || this.#held.size > 0 || !this.#way) return;
    this.#way.disconnect();
    this.#way = undefined;
  }

  #browserLost(): void {
    if (this.#isClosed) return;
    if (this.#greeted) {
      this.#greeted(undefined);
      return;
    }
    this.#way = undefined;
    const held = [...this.#held];
    this.#held.clear();
    if (this.#isNativeReady) for (const session of held) this.#emit({ type: "moved", session });
    else this.#end("the document or worker that held the connections is gone");
  }

  /** Calls of the browser's interface keep an idle worker alive. */
  #stayAwake(): void {
    const { api, clock, keepsAwake } = this.#request;
    if (!keepsAwake || !this.#place.isBackground) return;
    this.#awakeTimer = clock.setTimeout(() => {
      void api.runtime.getPlatformInfo?.().catch(() => undefined);
      this.#stayAwake();
    }, AWAKE_INTERVAL);
  }

  // ---- out ----

  /** Sends a frame where its session is. */
  #route(frame: Frame): void {
    if (frame.type === "batch") {
      for (const one of (frame as unknown as Batch<Frame>).frames) this.#route(one);
    } else if (frame.type === "part") {
      this.#parts.push(frame);
      const whole = this.#joiner.take(frame as unknown as Part);
      if (whole !== undefined) this.#send(whole as Frame, this.#parts.splice(0));
    } else this.#send(frame, [frame]);
  }

  #send(frame: Frame, raw: unknown[]): void {
    const { session } = frame;
    const isHere = session !== undefined && this.#held.has(session);
    if (this.#isNativeReady && !isHere) {
      if (frame.type === "open") this.#native?.postMessage(this.#offer(frame as unknown as Open));
      else for (const one of raw) this.#native?.postMessage(one);
      return;
    }
    if (frame.type === "open") {
      const open = frame as unknown as Open;
      this.#held.add(open.session);
      if (open.options?.reconnect === false) this.#ephemeral.add(open.session);
      this.#way?.post({ ...open, known: this.#notes?.has(open.session) ?? false } satisfies OpenKnown);
    } else this.#way?.post(frame);
  }

  /** An `open` for the host of a session that the browser held. */
  #offer(open: Open): Open {
    const target = open.url === undefined ? this.#handing.get(open.session)?.target : undefined;
    const offered: Open = target ? { ...open, ...target, conflict: "keep" } : open;
    if (!this.#notes?.has(open.session)) return offered;
    this.#notes.delete(open.session);
    // Something may be lost, whatever its client knows of it.
    return { ...offered, resume: open.resume ?? { epoch: "browser", seq: 0 } };
  }
}
