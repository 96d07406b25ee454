// The server of one session, controlled by a test: the messages it received, those it sends, faults of its link. It uses
// to the fake broker only.

import type { EventPayload, GapReason, Match, Payload } from "../wire.js";
import type { FakeBroker, ToServer } from "./fake-broker.js";

/** A message that reached the server. */
export interface ServerMessage {
  /** Text, a JSON value, bytes, or the arguments of a Socket.IO event. */
  data: unknown;
  /** The Socket.IO event's name. */
  event?: string;
  /** Answers it, when it was a `session.request`. */
  reply(data: unknown): void;
}

/** The server of one session. Get one with `browser.server(name)`. */
export class FakeServer {
  /** Everything that reached it, in order. */
  readonly messages: ServerMessage[] = [];
  readonly #broker: () => FakeBroker;
  readonly #handlers = new Set<(message: ServerMessage, server: FakeServer) => void>();

  /** @internal */
  constructor(
    broker: () => FakeBroker,
    readonly session: string,
  ) {
    this.#broker = broker;
  }

  /** The data of everything that reached it, in order. */
  get received(): unknown[] {
    return this.messages.map(({ data }) => data);
  }

  /** Adds a script that is called with every message. Returns a function that removes it. */
  onMessage(handler: (message: ServerMessage, server: FakeServer) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Sends a message: text, bytes, or any other value as JSON. */
  send(data: unknown): void {
    this.#broker().append(this.session, { type: "message", time: Date.now(), ...this.#payload(data) });
  }

  /** Sends a Socket.IO event. */
  emit(event: string, ...args: unknown[]): void {
    this.#broker().append(this.session, { type: "message", time: Date.now(), event, args });
  }

  /** Drops the link: the session is `waiting` until `accept`. */
  drop(code = 1006, reason = ""): void {
    this.#broker().link(this.session, "waiting", { code, reason, retryIn: 1000, attempt: 1 });
  }

  /** Opens the link again. `continuity` tells whether the server resumed where the last link ended. */
  accept(continuity: "none" | "server" | "unknown" = "none"): void {
    this.#broker().link(this.session, "open", { continuity });
  }

  /** Refuses the connection: an HTTP status instead of a WebSocket. */
  refuse(status: number): void {
    const error = { code: "http-status", message: `the server answered ${status}`, retry: "later" };
    this.#broker().link(this.session, "waiting", { status, error, retryIn: 1000, attempt: 1 });
  }

  /** Reports `count` lost messages in their place. */
  gap(count: number, reason: GapReason = "overflow"): void {
    const { next } = this.#broker().session(this.session);
    this.#broker().append(this.session, { type: "gap", from: next, to: next, count, reason, exact: true });
  }

  /** Requests new credentials from the extension. */
  askCredentials(why: "start" | "refused" | "expired" = "refused", status = 401): void {
    this.#broker().authNeeded(this.session, { why, status });
  }

  /** @internal */
  take(frame: ToServer): void {
    const message = {
      ...content(frame),
      reply: (data: unknown) => this.#reply(frame, data),
    };
    this.messages.push(message);
    for (const handler of [...this.#handlers]) handler(message, this);
  }

  #reply(frame: ToServer, data: unknown): void {
    if (frame.type !== "request") throw new Error("only a `session.request` can be answered");
    const body = (frame.match as Match & { ack?: true }).ack
      ? { args: Array.isArray(data) ? data : [data] }
      : this.#payload(data);
    this.#broker().append(this.session, { type: "response", id: frame.id, ...body });
  }

  #payload(data: unknown): Partial<Payload> {
    if (data instanceof Uint8Array) return { base64: btoa(String.fromCharCode(...data)) } as Partial<Payload>;
    if (this.#broker().session(this.session).options.format === "json") {
      return { json: typeof data === "string" ? JSON.parse(data) : data } as Partial<Payload>;
    }
    return { text: typeof data === "string" ? data : JSON.stringify(data) } as Partial<Payload>;
  }
}

function content(frame: ToServer): Omit<ServerMessage, "reply"> {
  const { text, json, base64, event, args } = frame as Partial<
    Record<"text" | "base64", string> & { json: unknown } & EventPayload
  >;
  if (event !== undefined) return { event, data: args };
  if (text !== undefined) return { data: text };
  if (base64 !== undefined) return { data: Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)) };
  return { data: json };
}
