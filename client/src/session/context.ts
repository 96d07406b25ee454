// What a session needs from its bridge and what its parts share, as types.

import type { Clock } from "../browser-api.js";
import type { LongwireError } from "../errors.js";
import type { Received } from "../received.js";
import type { SessionEvents, StateEvent } from "../session-types.js";
import type { Memory } from "../storage.js";
import type { ToBroker } from "../wire.js";

/** A session as its parts know it. */
export interface SessionContext {
  readonly name: string;
  readonly clock: Clock;
  readonly memory: Memory;
  /** The server's address, if this worker has given one. */
  url: string | undefined;
  readonly nextId: () => string;
  readonly post: (frame: ToBroker) => void;
  /** A failure that no promise reports. `message` is set if its handler failed. */
  readonly failed: (error: LongwireError, message?: Received) => void;
}

/** What a session needs from its bridge. */
export interface SessionHost extends Pick<SessionContext, "clock" | "memory" | "nextId" | "post"> {
  /** `moz-extension://<uuid>`: what Firefox sends as `Origin`, and its hosts are not told. */
  readonly pageOrigin?: string | undefined;
  /** The port is wanted. */
  connect(): void;
  /** The session is over for this bridge. */
  left(session: { readonly name: string }): void;
}

/** The events of a session, and `link`: a change of the link for those who are part of the SDK. */
export type CallbackEvents = Omit<SessionEvents, "message" | "gap" | "invalid"> & {
  link: [state: StateEvent];
};
