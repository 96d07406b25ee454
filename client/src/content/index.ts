// `longwire/content`: sessions of the extension's worker in a content script. The worker calls `relay` of
// `longwire/relay`. It imports nothing at run time that needs native messaging.

import type { Clock, ExtensionApi } from "../browser-api.js";
import { extensionApi } from "../browser-api.js";
import { PageBridge } from "./page-bridge.js";

export { LongwireError } from "../errors.js";
export { PageBridge, type PageBridgeEvents, type PageState } from "./page-bridge.js";
export { type PageOpenOptions, PageSession, type PageSessionEvents } from "./page-session.js";

/** Options of `connect` in a content script. */
export interface PageConnectOptions {
  /** @internal */
  api?: ExtensionApi;
  /** @internal */
  clock?: Clock;
}

const bridges = new WeakMap<ExtensionApi["runtime"], PageBridge>();

/** The connection of this page to the worker. Call it in a content script; every call gives the same one. */
export function connect(options: PageConnectOptions = {}): PageBridge {
  const { api = extensionApi(), clock } = options;
  const bridge = bridges.get(api.runtime) ?? new PageBridge(api, clock ?? api.clock);
  bridges.set(api.runtime, bridge);
  return bridge;
}
