// The registry in which `connect` finds the fallback that `longwire/fallback` registers. It imports no fallback itself.

import type { Clock, ExtensionApi, NativePort } from "./browser-api.js";
import type { LongwireError } from "./errors.js";

/** The bridge that a fallback opens ports for. @internal */
export interface FallbackRequest {
  readonly api: ExtensionApi;
  readonly clock: Clock;
  /** The error for the browser's text about a port. */
  explain(reason: string | undefined): LongwireError;
  /** The context shall stay alive while a port is open. */
  readonly keepsAwake: boolean;
}

/** Runs sessions in the browser while there is no native host. Get one with `browserFallback` of `longwire/fallback`. */
export interface Fallback {
  /** @internal Adds its listeners, in the same turn; returns what opens ports, to the host or to the browser. */
  attach(request: FallbackRequest): (host: string) => NativePort;
}

/** Sent by a fallback: the session has another broker now, attach there. @internal */
export interface Moved {
  type: "moved";
  session: string;
}

const KEY = /* @__PURE__ */ Symbol.for("longwire.fallback");
const COOKIES = /* @__PURE__ */ Symbol.for("longwire.cookies");
const scope = globalThis as { [KEY]?: Fallback; [COOKIES]?: Set<string> };

/** `Cookie` headers as this browser sends them by itself: a fallback needs not set them. */
export function browserCookies(): Set<string> {
  scope[COOKIES] ??= new Set();
  return scope[COOKIES];
}

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
