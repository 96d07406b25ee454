// The interface of the browser's transports: WebSocket, Socket.IO, event stream, polling.

import type { OpenOptions, Protocol, WireError } from "../wire.js";
import type { ResumeToken } from "./resume-tokens.js";
import type { MessageContent } from "./rules.js";

/** The browser's network functions. */
export interface BrowserNetwork {
  readonly WebSocket: typeof WebSocket;
  readonly fetch: typeof fetch;
}

/** A message from the server. */
export interface Incoming extends MessageContent {
  lastEventId?: string;
  /** The server awaits an acknowledgement. */
  reply?: true;
}

/** Acknowledges an event, on the connection that delivered it. Returns the error if that fails. */
export type SendReply = (args: unknown[]) => WireError | undefined;

/** What happened to a namespace of Socket.IO other than the first. */
export interface NamespaceChange {
  readonly state: "failed" | "closed";
  readonly namespace: string;
  readonly error: WireError;
}

/** What follows the end of a connection. */
export type CloseAction = "retry" | "auth" | "stop" | "closed";

/** How a connection ended. */
export interface LinkEnd {
  readonly code?: number;
  readonly reason?: string;
  /** The server answered the close. */
  readonly clean?: boolean;
  readonly status?: number;
  /** `Retry-After`, in milliseconds. */
  readonly retryAfter?: number;
  readonly error?: WireError;
  readonly action?: CloseAction;
  /** The data of a Socket.IO server's refusal. */
  readonly data?: unknown;
}

/** Callbacks of a connection. They have no effect after its end. */
export interface LinkEvents {
  opened(more: { subprotocol?: string; extensions?: string; continuity?: "server" }): void;
  message(message: Incoming, reply?: SendReply): void;
  /** Bytes arrived that are not a complete message. */
  alive(): void;
  namespace(change: NamespaceChange): void;
  /** More may be sent. */
  room(): void;
  /** The connection ended, and is to be dropped. */
  ended(end: LinkEnd): void;
}

/**
 * The result of sending a message. There is none if the connection ends first. `answer`: the server's acknowledgement.
 * `failed`: this message cannot be sent. `end`: neither it nor others can be sent on this connection.
 */
export type SentAs =
  | "sent"
  | "confirmed"
  | { readonly answer: MessageContent }
  | { readonly failed: WireError }
  | { readonly end: LinkEnd };

/** One connection. */
export interface Link {
  /** Whether another message may be sent now. */
  readonly hasRoom: boolean;
  /** `acknowledge`: the server shall acknowledge it, which is a second result. */
  send(content: MessageContent, done: (how: SentAs) => void, acknowledge?: boolean): void;
  /** Closes gracefully; `ended` follows. */
  close(code?: number, reason?: string): void;
  /** Drops the connection, without `ended`. */
  abort(): void;
}

/** What one connection is made with. */
export interface Target {
  readonly protocol: Protocol;
  readonly url: string;
  readonly subprotocols: string[];
  readonly headers: Record<string, string>;
  /** Credentials for a namespace of Socket.IO, or for `login`. */
  readonly auth: unknown;
  /** The session's options, which may change while the connection is open. */
  readonly options: () => OpenOptions;
  /** What the server gave on earlier connections, which this one continues. */
  readonly token: ResumeToken;
}

/** An error of the link. */
export function linkError(
  code: WireError["code"],
  message: string,
  retry: WireError["retry"] = "later",
): WireError {
  return { code, message, retry };
}

/** The end that an HTTP status means, as for the host's handshakes. */
export function statusEnd(response: Response): LinkEnd {
  const { status } = response;
  const after = response.headers.get("retry-after");
  const seconds = after === null ? Number.NaN : Number(after);
  const action =
    status === 401 || status === 403 ? "auth" : status === 400 || status === 404 ? "stop" : "retry";
  return {
    status,
    action,
    error: linkError("http-status", `the server answered ${status}`),
    ...(seconds >= 0 ? { retryAfter: Math.min(seconds, 86_400) * 1000 } : {}),
  };
}

/** Why an event of the server cannot be answered. */
export const ANSWERED = linkError("not-sent", "the event was answered, or its connection has ended", "no");
