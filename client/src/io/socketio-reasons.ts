// What happened to a link or an event, in socket.io-client's words where it has any. It decides nothing.

import type { LongwireError } from "../errors.js";
import type { StateEvent } from "../session-types.js";

/** Why a connection was lost, in socket.io-client's words. */
export function reasonOf(error: LongwireError | undefined): string {
  if (error?.code === "heartbeat") return "ping timeout";
  if (error?.code === "server-protocol") return "parse error";
  return "transport close";
}

/** What the server's middleware said, or what else kept the namespace closed. */
export function refusal({ reason, error, data }: StateEvent): Error {
  const isTheirs = reason !== undefined && error?.code === "handshake";
  return isTheirs ? Object.assign(new Error(reason), { data }) : (error ?? new Error(reason));
}

/** Why there is no acknowledgement, in socket.io-client's words where it has any. */
export function toAckError(error: LongwireError): Error {
  if (error.code === "timeout") return new Error("operation has timed out");
  if (error.code === "link-lost" || error.code === "session-closed") {
    return new Error("socket has been disconnected");
  }
  return error;
}
