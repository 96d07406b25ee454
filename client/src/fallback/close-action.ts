// Decides what follows the end of a connection: a retry, new credentials, or nothing.

import type { OpenOptions } from "../wire.js";
import type { CloseAction, LinkEnd } from "./link.js";

const STOP = new Set([1002, 1003, 1007, 1008, 1010]);
const AUTH = new Set([4401, 4403]);

/** The action: by `closeCodes`, else by the transport, else the protocol's default. */
export function closeAction(end: LinkEnd, { closeCodes }: OpenOptions): CloseAction {
  const code = end.status ?? end.code ?? 1006;
  for (const [range, action] of Object.entries(closeCodes ?? {})) {
    const [from = 0, to = from] = range.split("-").map(Number);
    if (code >= from && code <= to) return action;
  }
  if (end.action) return end.action;
  if (STOP.has(code)) return "stop";
  return AUTH.has(code) ? "auth" : "retry";
}

/** Milliseconds until the next attempt, with full jitter. `attempt` starts at 1. */
export function backoff(reconnect: OpenOptions["reconnect"], attempt: number, chance: number): number {
  const { minDelay = 500, maxDelay = 30_000, factor = 2 } = reconnect || {};
  return Math.round(chance * Math.min(maxDelay, minDelay * factor ** (attempt - 1)));
}
