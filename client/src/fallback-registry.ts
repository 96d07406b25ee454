// Where `longwire/fallback` leaves what runs sessions without the native host, for `connect` to find. It runs nothing itself.

import type { Clock, ExtensionApi, NativePort } from "./browser-api.js";
import type { LongwireError } from "./errors.js";

/** Whose ports a fallback opens. @internal */
export interface FallbackRequest {
  readonly api: ExtensionApi;
  readonly clock: Clock;
  /** The error for what the browser says about a port. */
  explain(said: string | undefined): LongwireError;
  /** The context shall stay alive while a port is open. */
  readonly keepsAwake: boolean;
}

/** Runs sessions in the browser while there is no native host. Get one with `browserFallback` of `longwire/fallback`. */
export interface Fallback {
  /** @internal Adds its listeners, in the same turn; returns what opens ports, to the host or to the browser. */
  attach(request: FallbackRequest): (host: string) => NativePort;
}

/** The session has another broker now: attach there. Only a fallback says this. @internal */
export interface Moved {
  type: "moved";
  session: string;
}

const KEY = /* @__PURE__ */ Symbol.for("longwire.fallback");
const scope = globalThis as { [KEY]?: Fallback };

/** Makes a fallback the one that `fallback: "browser"` means. */
export function registerFallback(fallback: Fallback): void {
  scope[KEY] = fallback;
}

/** The fallback that is meant. */
export function findFallback(wanted: "browser" | Fallback): Fallback {
  const found = wanted === "browser" ? scope[KEY] : wanted;
  if (!found) throw new TypeError('longwire: fallback: "browser" needs import "longwire/fallback"');
  return found;
}
