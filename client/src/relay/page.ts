// One page on the worker's side: its client in the broker, its sessions, and the messages that it has not finished. It does not
// decide which pages may connect.

import type { Clock, PagePort } from "../browser-api.js";
import { type Bridge, LongwireError, type Received, type Session } from "../index.js";
import { fromBase64, type Sendable } from "../payload.js";
import type { SendOptions } from "../session-types.js";
import type { EventPayload, Payload } from "../wire.js";
import { type FromPage, type ToPage, toFields, toPlain, toPlainState } from "./messages.js";

/** Messages and bytes in flight to a page; the others wait in the broker. */
export const PAGE_WINDOW = { messages: 64, bytes: 512 * 1024 };
/** Maximum milliseconds that a page waits for the worker to open a session. */
export const SESSION_TIMEOUT = 10_000;
const SESSION_RETRY = 500;

/** The options of messages that a page may set. */
const SEND_OPTIONS = ["receipt", "ttl", "volatile", "ifLost", "confirm", "lane", "timeout"] as const;

type SendMessage = Extract<FromPage, { type: "send" | "request" }>;

/** A message or gap that the page has not finished. */
interface Unfinished {
  readonly session: string;
  done(): void;
  reply?(...args: unknown[]): void;
}

/** What a page needs from the relay. */
export interface PageHost {
  /** The page's own client. */
  readonly bridge: Bridge;
  readonly clock: Clock;
  allows(session: string): boolean;
}

/** A connected page. */
export class RelayedPage {
  readonly #port: PagePort;
  readonly #host: PageHost;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #unfinished = new Map<number, Unfinished>();
  readonly #sending = new Map<string, AbortController>();
  readonly #leaving = new Map<string, Promise<void> | undefined>();
  #count = 0;
  #closed = false;

  constructor(port: PagePort, host: PageHost) {
    this.#port = port;
    this.#host = host;
    // With a listener `open` waits for a missing host; the page receives the error.
    host.bridge.on("error", (error) => this.#post({ type: "error", error: toPlain(error) }));
    port.onMessage.addListener((message) => this.#take(message as FromPage));
    port.onDisconnect.addListener(() => {
      this.#closed = true;
    });
    this.#post({ type: "ready" });
  }

  /** The page is closed: passes its messages to the broker and detaches from its sessions. */
  async end(): Promise<void> {
    this.#closed = true;
    for (const { session } of [...this.#unfinished.values()]) this.#release(session);
    await this.#host.bridge.drain();
    await this.#host.bridge.end();
  }

  #post(message: ToPage): void {
    if (!this.#closed) this.#port.postMessage(message);
  }

  #take(message: FromPage): void {
    if (this.#closed) return;
    switch (message.type) {
      case "open":
        this.#open(message.session, message.from);
        break;
      case "done":
        this.#unfinished.get(message.n)?.done();
        this.#unfinished.delete(message.n);
        break;
      case "reply":
        if (Array.isArray(message.args)) this.#unfinished.get(message.n)?.reply?.(...message.args);
        break;
      case "send":
      case "request":
        void this.#send(message);
        break;
      case "cancel":
        this.#sending.get(message.id)?.abort();
        break;
      case "detach":
        this.#detach(message.session);
        break;
    }
  }

  // ---- sessions ----

  #open(name: string, from: Extract<FromPage, { type: "open" }>["from"]): void {
    if (this.#sessions.has(name)) return;
    if (typeof name !== "string" || !this.#host.allows(name)) {
      const text = `longwire: relay() does not allow this page to open session ${name}`;
      this.#post({ type: "failed", session: name, error: toPlain(new LongwireError("relay-refused", text)) });
      return;
    }
    const opening = this.#attach(name, from);
    this.#sessions.set(name, opening);
    opening.catch((error: unknown) => {
      this.#sessions.delete(name);
      this.#post({ type: "failed", session: name, error: toPlain(error) });
    });
  }

  /** The worker that has just started may not have opened the session yet. */
  async #attach(name: string, from: Extract<FromPage, { type: "open" }>["from"]): Promise<Session> {
    const { bridge, clock } = this.#host;
    await this.#leaving.get(name);
    const end = clock.now() + SESSION_TIMEOUT;
    for (;;) {
      try {
        const session = await bridge.open(name, { ack: "manual", ...(from ? { from } : {}) });
        this.#follow(session);
        return session;
      } catch (error) {
        if (this.#closed || !LongwireError.is(error, "no-session") || clock.now() >= end) throw error;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, SESSION_RETRY));
      }
    }
  }

  #follow(session: Session): void {
    const { name } = session;
    const narrow = () => session.window(PAGE_WINDOW.messages, PAGE_WINDOW.bytes).catch(() => undefined);
    const epoch = () => session.opened?.epoch ?? "";
    const postOpened = () => {
      const state = toPlainState(session.link ?? { state: "connecting" });
      this.#post({ type: "opened", session: name, epoch: epoch(), state });
    };
    postOpened();
    narrow();
    // Every attachment begins with the broker's own window.
    session.on("live", () => {
      narrow();
      this.#post({ type: "live", session: name });
    });
    session.on("message", (message) => {
      const n = this.#hold(message);
      this.#post({ type: "message", session: name, n, epoch: message.epoch, message: toFields(message) });
    });
    session.on("gap", (gap) => {
      return new Promise<void>((done) => {
        this.#post({ type: "gap", session: name, n: this.#hold({ session: name, done }), gap });
      });
    });
    session.on("state", (state) => this.#post({ type: "state", session: name, state: toPlainState(state) }));
    session.on("outcome", ({ error, ...outcome }) => {
      const plain = error ? { error: toPlain(error) } : {};
      this.#post({ type: "outcome", session: name, id: outcome.id, outcome, ...plain });
    });
    session.on("response", (id, answer) => this.#answered(name, id, answer));
    session.on("error", (error) => this.#post({ type: "error", error: toPlain(error) }));
    session.on("detached", (reason, error) => {
      if (reason === "left") return;
      this.#sessions.delete(name);
      this.#release(name);
      this.#post({ type: "detached", session: name, reason, error: toPlain(error) });
    });
  }

  #hold(unfinished: Unfinished): number {
    this.#count += 1;
    this.#unfinished.set(this.#count, unfinished);
    return this.#count;
  }

  #detach(name: string): void {
    const opening = this.#sessions.get(name);
    this.#sessions.delete(name);
    this.#release(name);
    const leaving = opening?.then((session) => session.detach()).catch(() => undefined);
    this.#leaving.set(name, leaving);
  }

  /** Unfinished messages of a session are redelivered if the page opens it again. */
  #release(name: string): void {
    for (const [n, held] of this.#unfinished) {
      if (held.session !== name) continue;
      this.#unfinished.delete(n);
      // A gap that the page will not see must not delay the end.
      if (!held.reply) held.done();
    }
  }

  // ---- sending ----

  async #send(message: SendMessage): Promise<void> {
    const { session: name, id, body } = message;
    const abort = new AbortController();
    this.#sending.set(id, abort);
    try {
      const session = await this.#sessions.get(name);
      if (!session)
        throw new LongwireError("not-attached", `longwire: this page has not opened session ${name}`);
      const options = { ...allowedOptions(message.options), id, signal: abort.signal };
      if (message.type === "request") {
        const data = "event" in body ? body : toSendable(body);
        const { match } = message.options;
        this.#answered(name, id, await session.request(data, { ...options, match }));
        return;
      }
      const { error, ...outcome } = await sendWith(session, body, options);
      this.#post({
        type: "outcome",
        session: name,
        id,
        outcome,
        ...(error ? { error: toPlain(error) } : {}),
      });
    } catch (error) {
      this.#post({ type: "failed", session: name, id, error: toPlain(error) });
    } finally {
      this.#sending.delete(id);
    }
  }

  #answered(session: string, id: string, answer: Received | LongwireError): void {
    if (answer instanceof LongwireError) this.#post({ type: "failed", session, id, error: toPlain(answer) });
    else this.#post({ type: "response", session, id, epoch: answer.epoch, message: toFields(answer) });
  }
}

function sendWith(session: Session, body: Payload | EventPayload, options: SendOptions) {
  if (!("event" in body)) return session.send(toSendable(body), options);
  const { event, args, namespace } = body;
  return session.emit(event, args, { ...options, ...(namespace === undefined ? {} : { namespace }) });
}

/** The value that a payload was made of. */
function toSendable({
  text,
  base64,
  json,
}: Partial<Record<"text" | "base64", string> & { json: unknown }>): Sendable {
  if (text !== undefined) return text;
  return base64 === undefined ? (json as Sendable) : fromBase64(base64);
}

/** The options that a page may give. */
function allowedOptions(options: SendOptions | undefined): SendOptions {
  return Object.fromEntries(
    SEND_OPTIONS.map((name) => [name, (options as Record<string, unknown> | undefined)?.[name]]).filter(
      ([, value]) => value !== undefined,
    ),
  );
}
