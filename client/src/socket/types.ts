// The options and events of a `LongwireSocket`, as types.

import type { Bridge } from "../bridge.js";
import type { ConnectOptions } from "../bridge-types.js";
import type { GapEvent } from "../inbox.js";
import type { StateEvent } from "../session-types.js";
import type { OpenOptions } from "../wire.js";

/** The options that have a name: an index signature would hide them. */
type Named<Options> = { [Key in keyof Options as string extends Key ? never : Key]: Options[Key] };

/** Options of `LongwireSocket`: those of a session, its name and the bridge. */
export interface SocketOptions extends Omit<Named<OpenOptions>, "subprotocols" | "format"> {
  /**
   * Uses the persistent session of this name: its connection, its log and its position survive the worker. A lost
   * link is re-established, and fires `reconnecting`, `resumed` and `gap` instead of `close`. Without this option the
   * socket behaves as the standard defines.
   */
  session?: string;
  /** The bridge to use, or how to connect. Default: `connect()`. */
  bridge?: Bridge | ConnectOptions;
}

/** The events of a `LongwireSocket`. The last three fire only with the option `session`. */
export interface SocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  /** The link was lost; `detail` has the time of the next attempt. */
  reconnecting: CustomEvent<StateEvent>;
  /** The link is open again; `detail.continuity` tells whether the server may have sent messages meanwhile. */
  resumed: CustomEvent<StateEvent>;
  /** Messages were lost at this point; `detail` has their number and the reason. */
  gap: CustomEvent<GapEvent>;
}
