// The reasons and errors of socket.io-client for what happens to a link or an event. It decides nothing.

import type { LongwireError } from "../errors.js";
import type { StateEvent } from "../session-types.js";

/** socket.io-client's reason for a lost connection. */
export function reasonOf(error: LongwireError | undefined): string {
  if (error?.code === "heartbeat") return "ping timeout";
  if (error?.code === "server-protocol") return "parse error";
  return "transport close";
}

/** The error of the server's middleware, or another one that keeps the namespace closed. */
export function refusal({ reason, error, data }: StateEvent): Error {
  const isTheirs = reason !== undefined && error?.code === "handshake";
  return isTheirs ? Object.assign(new Error(reason), { data }) : (error ?? new Error(reason));
}

/** The error for a missing acknowledgement; socket.io-client's where it has one. */
export function toAckError(error: LongwireError): Error {
  if (error.code === "timeout") return new Error("operation has timed out");
  if (error.code === "link-lost" || error.code === "session-closed") {
    return new Error("socket has been disconnected");
  }
  return error;
}
