// The frames of the broker in the browser: those of the native host's, and one more for sessions that move to the host.

import type { Moved } from "../fallback-registry.js";
import type { Batch, Open, Request, Send, ToExtension } from "../wire.js";

/** Tells a client that its session moves to the host, with what the host needs. */
export interface Handover extends Moved {
  /** Unsent messages, for the host's broker. */
  frames: (Send | Request)[];
  /** URL and options, for clients that know only the name: the first one creates the session. */
  target?: Pick<Open, "url" | "options">;
}

/** The frames of the broker in the browser. */
export type FromBrowserBroker = ToExtension | Handover;

/** Frames for a router, one or several at once. */
export type ToRouter = FromBrowserBroker | Batch<FromBrowserBroker>;

/** The fields that have a value. */
export function present<Fields extends object>(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Fields;
}
