// The interfaces between a session, its parts and its bridge, as types.

import type { Clock } from "../browser-api.js";
import type { LongwireError } from "../errors.js";
import type { Received } from "../received.js";
import type { SessionEvents, StateEvent } from "../session-types.js";
import type { Memory } from "../storage.js";
import type { ToBroker } from "../wire.js";

/** A session as its parts use it. */
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
  /** `moz-extension://<uuid>`: the `Origin` that Firefox sends and does not pass to hosts. */
  readonly pageOrigin?: string | undefined;
  /** The session needs the port. */
  connect(): void;
  /** The session is over for this bridge. */
  left(session: { readonly name: string }): void;
}

/** The events of a session, and `link`: a change of the link, for the SDK itself. */
export type CallbackEvents = Omit<SessionEvents, "message" | "gap" | "invalid"> & {
  link: [state: StateEvent];
};
