// Decides what follows the end of a connection: a retry, new credentials, or nothing.

import type { OpenOptions } from "../wire.js";
import type { CloseAction, LinkEnd } from "./link.js";
import { PRESETS } from "./presets.js";

const STOP = new Set([1002, 1003, 1007, 1008, 1010]);
const AUTH = new Set([4401, 4403]);
/** Codes with which a server disconnects all clients. */
const EVERYBODY = new Set([1001, 1012, 1013]);
/** Milliseconds over which clients spread their reconnects when all were disconnected at once. */
const SPREAD = 5000;

/** The action: by `closeCodes`, else by the preset's, else by the transport, else the protocol's default. */
export function closeAction(end: LinkEnd, { closeCodes, preset }: OpenOptions): CloseAction {
  const code = end.status ?? end.code;
  if (code !== undefined) {
    const own = actionFor(code, closeCodes) ?? actionFor(code, preset && PRESETS[preset].closeCodes);
    if (own) return own;
  }
  if (end.action) return end.action;
  if (STOP.has(code ?? 0)) return "stop";
  return AUTH.has(code ?? 0) ? "auth" : "retry";
}

/** The narrowest range decides. */
function actionFor(code: number, closeCodes: OpenOptions["closeCodes"] = {}): CloseAction | undefined {
  let narrowest = Number.POSITIVE_INFINITY;
  let found: CloseAction | undefined;
  for (const [range, action] of Object.entries(closeCodes)) {
    const [from = 0, to = from] = range.split("-").map(Number);
    if (code < from || code > to || to - from >= narrowest) continue;
    narrowest = to - from;
    found = action;
  }
  return found;
}

/**
 * Milliseconds until the next attempt, with full jitter, or around the delay with `randomization`. `attempt` starts at
 * 1; `chance` is in [0, 1).
 */
export function backoff(reconnect: OpenOptions["reconnect"], attempt: number, chance: number): number {
  const { minDelay = 500, maxDelay = 30_000, factor = 2, randomization: share } = reconnect || {};
  const delay = Math.min(maxDelay, minDelay * factor ** (attempt - 1));
  return Math.round(delay * (share === undefined ? chance : 1 + share * (2 * chance - 1)));
}

/** Additional milliseconds, if the server has disconnected all clients. */
export function spread({ code, retryAfter }: LinkEnd, chance: number): number {
  return EVERYBODY.has(code ?? 0) || retryAfter !== undefined ? Math.round(SPREAD * chance) : 0;
}
