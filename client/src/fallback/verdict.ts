// What follows the end of a connection: another try, fresh credentials, or nothing.

import type { OpenOptions } from "../wire.js";
import type { LinkEnd, Verdict } from "./link.js";

const STOP = new Set([1002, 1003, 1007, 1008, 1010]);
const AUTH = new Set([4401, 4403]);

/** The verdict on an end: of the kind of connection, else of `closeCodes`, else the protocol's own. */
export function judge(end: LinkEnd, { closeCodes }: OpenOptions): Verdict {
  const code = end.status ?? end.code ?? 1006;
  for (const [range, verdict] of Object.entries(closeCodes ?? {})) {
    const [from = 0, to = from] = range.split("-").map(Number);
    if (code >= from && code <= to) return verdict;
  }
  if (end.verdict) return end.verdict;
  if (STOP.has(code)) return "stop";
  return AUTH.has(code) ? "auth" : "retry";
}

/** Milliseconds to the next try: the bound first, then chance. `attempt` counts from 1. */
export function backoff(reconnect: OpenOptions["reconnect"], attempt: number, chance: number): number {
  const { minDelay = 500, maxDelay = 30_000, factor = 2 } = reconnect || {};
  return Math.round(chance * Math.min(maxDelay, minDelay * factor ** (attempt - 1)));
}
