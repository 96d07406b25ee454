// The exports of the package's main entry. It adds nothing of its own.

export { Bridge, connect } from "./bridge.js";
export type { BridgeEvents, BridgeMode, ConnectOptions } from "./bridge-types.js";
export { cookieHeader } from "./credentials.js";
export {
  type AnyLongwireError,
  type ErrorCode,
  type ErrorDetails,
  type LocalCode,
  LongwireError,
} from "./errors.js";
export type { Off, Unsubscribe } from "./events.js";
export type { Fallback } from "./fallback-registry.js";
export type { GapEvent, GapHandler, InvalidHandler, MessageHandler } from "./inbox.js";
export type { Sendable } from "./payload.js";
export type { PortState } from "./port.js";
export type { Received } from "./received.js";
export type { Session } from "./session.js";
export type {
  AuthHandler,
  AuthRequest,
  CloseReport,
  EndReason,
  RequestOptions,
  SendOptions,
  SendOutcome,
  SessionEvents,
  SessionOptions,
  StateEvent,
  SubscribeSpec,
} from "./session-types.js";
export { LongwireSocket, type SocketEventMap, type SocketOptions } from "./socket/index.js";
export type { SchemaIssue, SchemaOutput, SchemaResult, StandardSchema } from "./standard-schema.js";
export type * from "./wire.js";
