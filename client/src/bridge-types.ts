// The options and events of a bridge, as types.

import type { Clock, ExtensionApi } from "./browser-api.js";
import type { AnyLongwireError, LongwireError } from "./errors.js";
import type { Fallback } from "./fallback-registry.js";
import type { PortState } from "./port.js";
import type { GoAway, Welcome } from "./wire.js";

/** Options of `connect`. */
export interface ConnectOptions {
  /** The native host's name. Default `com.longwire.bridge`. */
  host?: string;
  /** The client's name: `main` (default), `popup`, ... Each client has its own position in every session. */
  client?: string;
  /** Identifies the browser profile. Default: a random id stored in `chrome.storage.local`. */
  profile?: string;
  /** Capabilities that this extension requires. */
  needs?: string[];
  /**
   * `true` (default): the port stays open, which keeps the worker alive. `"alarms"`: the port closes when idle, the
   * worker may sleep, and an alarm fetches new messages every 30 s. In a popup or another page, and without the
   * permission `alarms`, the port always stays open.
   */
  keepAlive?: true | "alarms";
  /**
   * `"browser"`: while there is no native host, because it is not installed or is blocked, sessions run on the browser's own
   * connections, and `bridge.mode` is `browser`. When the host appears, the next connection of each session goes through it.
   * Needs `import "longwire/fallback"`.
   */
  fallback?: "browser" | Fallback;
  /**
   * On an update of the extension: finish pending work, then call `runtime.reload()`. Default true in a background
   * context.
   */
  updates?: boolean;
  /** @internal */
  api?: ExtensionApi;
  /** @internal */
  clock?: Clock;
}

/** Where connections are made: in the native host's broker, or in the browser itself. */
export type BridgeMode = "host" | "browser";

/** The events of a bridge. */
export interface BridgeEvents {
  state: [state: PortState, error: LongwireError | undefined];
  /**
   * The port is lost (the SDK opens another) or has failed permanently (`bridge.state` is `failed`), or the broker
   * reports an error. Fires once per failure, not for each retry. Without a listener, pending `open` calls reject
   * with the error, or it is logged to the console.
   */
  error: [error: AnyLongwireError];
  /** A missing host has been installed. Waiting sessions continue automatically. */
  installed: [welcome: Welcome];
  /** Only with `fallback`: where new connections are made from now on. `error` is the reason if it is not the host. */
  mode: [mode: BridgeMode, error: LongwireError | undefined];
  /**
   * The broker shuts down: with `reason: "upgrade"` another replaces it, and all sessions continue there. No action is
   * needed. It closes its connections within `after` milliseconds: wait at least that long before you show the user
   * a connection problem.
   */
  goaway: [goaway: GoAway];
}

/** Options with the names that have a default. */
export type ResolvedOptions = ConnectOptions & { host: string; client: string };
