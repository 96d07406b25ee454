// What a session needs from a connection, whichever of the browser's own it is.

import type { OpenOptions, Payload, WireError } from "../wire.js";

/** What the browser offers for connections. */
export interface BrowserNetwork {
  readonly WebSocket: typeof WebSocket;
  readonly fetch: typeof fetch;
}

/** What came from the server. */
export type Incoming = Partial<Payload> & { event?: string; lastEventId?: string };

/** What follows the end of a connection, where its kind knows better than `closeCodes`. */
export type Verdict = "retry" | "auth" | "stop" | "closed";

/** How a connection ended. */
export interface LinkEnd {
  readonly code?: number;
  readonly reason?: string;
  /** The server answered the close. */
  readonly clean?: boolean;
  readonly status?: number;
  /** Milliseconds that the server wants to be left alone. */
  readonly retryAfter?: number;
  readonly error?: WireError;
  readonly verdict?: Verdict;
}

/** What a connection tells. */
export interface LinkEvents {
  opened(more: { subprotocol?: string; extensions?: string; continuity?: "server" }): void;
  message(message: Incoming): void;
  /** More may be sent. */
  room(): void;
  /** It is over. Told once, and not after `abort`. */
  ended(end: LinkEnd): void;
}

/** How a message ended that was given to a connection. It is not told when the connection ends first. */
export type SentAs = "sent" | "confirmed" | { readonly end: LinkEnd };

/** One connection. */
export interface Link {
  /** Whether another message may be sent now. */
  readonly hasRoom: boolean;
  send(payload: Payload, done: (how: SentAs) => void): void;
  /** Ends it as its protocol wants; `ended` follows. */
  close(code?: number, reason?: string): void;
  /** Ends it at once, silently. */
  abort(): void;
}

/** Where a connection leads. It outlives connections, for what the next one must know. */
export interface Target {
  url: string;
  subprotocols: string[];
  headers: Record<string, string>;
  readonly options: OpenOptions;
  /** Streams: the last id. Polling: the cursor. */
  cursor?: string;
  /** Streams: the least delay that the server wants before it is asked again. */
  leastDelay?: number;
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
  const verdict =
    status === 401 || status === 403 ? "auth" : status === 400 || status === 404 ? "stop" : "retry";
  const retry = verdict === "retry" ? "later" : verdict === "auth" ? "auth" : "no";
  return {
    status,
    verdict,
    error: linkError("http-status", `the server answered ${status}`, retry),
    ...(seconds >= 0 ? { retryAfter: Math.min(seconds, 86_400) * 1000 } : {}),
  };
}
