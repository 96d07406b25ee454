// What servers gave for the next connection, kept by dial key: it reaches no other server, nor the same one in another
// meaning.

import type { Protocol } from "../wire.js";
import type { DialKey } from "./dial-key.js";
import { isEqual } from "./rules.js";

/** What one server gave. Each protocol uses its own fields. */
export interface ResumeToken {
  /** Streams: the last id. */
  lastEventId?: string;
  /** Streams: the minimum delay before reconnecting. */
  leastDelay?: number;
  /** Polling: the position in the server's messages, and the tag of the last response. */
  cursor?: string;
  etag?: string | undefined;
  /** Socket.IO: the state of connection state recovery, by namespace. */
  recovery?: Map<string, { pid: string; offset?: string }> | undefined;
  /** Socket.IO: a connection was on the WebSocket. */
  wasOnSocket?: boolean;
}

/** The tokens of one session, one for each protocol. */
export class ResumeTokens {
  readonly #kept = new Map<Protocol, { key: DialKey; token: ResumeToken }>();

  /** The token for connections with this key. One of another key of the protocol is forgotten. */
  of(key: DialKey): ResumeToken {
    const kept = this.#kept.get(key.protocol);
    if (kept && isEqual(kept.key, key)) return kept.token;
    const token: ResumeToken = {};
    this.#kept.set(key.protocol, { key, token });
    return token;
  }

  /** The state that Socket.IO servers hold belongs to other credentials. */
  forgetRecovery(): void {
    for (const { token } of this.#kept.values()) token.recovery = undefined;
  }
}
