// `longwire/fallback`: sessions on the browser's own connections while there is no native host. Importing it makes
// `connect({ fallback: "browser" })` work.

import { type Fallback, registerFallback } from "../fallback-registry.js";
import type { BrowserNetwork } from "./link.js";
import { BrokerLocation } from "./location.js";
import { RoutedPort } from "./router.js";

export type { Fallback } from "../fallback-registry.js";

/** Options of `browserFallback`. */
export interface FallbackOptions {
  /**
   * The packaged page that is used as an offscreen document in Chromium, if the extension has the permission
   * `offscreen`. It loads `longwire-offscreen.js`. Default `"longwire-offscreen.html"`. `false`: connections are in
   * the worker.
   */
  offscreen?: string | false;
  /** @internal */
  network?: BrowserNetwork;
}

/** Like `fallback: "browser"`, with options: `connect({ fallback: browserFallback({ offscreen: false }) })`. */
export function browserFallback(options: FallbackOptions = {}): Fallback {
  const { offscreen = "longwire-offscreen.html", network = browserNetwork } = options;
  return {
    attach(request) {
      const location = new BrokerLocation(request.api, request.clock, network, offscreen);
      return (host) => new RoutedPort(request, host, location);
    },
  };
}

/** What the context has when a connection is made. */
const browserNetwork: BrowserNetwork = {
  get WebSocket() {
    return globalThis.WebSocket;
  },
  get fetch() {
    return globalThis.fetch.bind(globalThis);
  },
};

registerFallback(browserFallback());
