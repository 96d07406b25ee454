// The frames of an extension.

import type { Credentials, Filter, OpenOptions } from "./options.js";
import type { Confirm, EventPayload, Match, Payload, Rule } from "./values.js";

export interface Hello {
  type: "hello";
  protocol: number;
  profile?: string;
  client?: string;
  instance?: string;
  sdk?: string;
  needs?: string[];
  /** Optional frames that this client accepts: `messages`. */
  accepts?: string[];
}
export interface Open {
  type: "open";
  id: string;
  session: string;
  url?: string;
  options?: OpenOptions;
  resume?: { epoch: string; seq: number };
  conflict?: "update" | "keep" | "error";
}
export interface Ack {
  type: "ack";
  session: string;
  seq: number;
}
export interface SendFields {
  session: string;
  confirm?: Confirm;
  ttl?: number;
  volatile?: boolean;
  ifLost?: "report" | "resend";
  receipt?: boolean;
  /** 0 to 3: among messages that wait, lower ones go first. Default 1. */
  lane?: number;
}
export type Send = { type: "send"; id?: string } & SendFields & (Payload | EventPayload);
export type Request = { type: "request"; id: string; match: Match; timeout?: number } & SendFields &
  (Payload | EventPayload);
export interface Cancel {
  type: "cancel";
  session: string;
  id: string;
}
export interface Subscribe {
  type: "subscribe";
  session: string;
  id: string;
  key: string;
  send?: (Payload | EventPayload)[];
  undo?: (Payload | EventPayload)[];
  confirm?: Rule;
  filter?: Filter[];
}
export interface UnsubscribeFrame {
  type: "unsubscribe";
  session: string;
  id: string;
  key: string;
}
export type Authorize = { type: "authorize"; session: string; nonce?: string; id?: string } & (
  | (Credentials & { failed?: never })
  | { failed: string }
);
export interface Window {
  type: "window";
  session: string;
  messages: number;
  bytes: number;
  id?: string;
}
export interface Reconnect {
  type: "reconnect";
  session: string;
  id?: string;
}
export interface Detach {
  type: "detach";
  session: string;
  id?: string;
}
export interface Close {
  type: "close";
  session: string;
  id?: string;
  code?: number;
  reason?: string;
  /** Messages that still wait are cancelled. Without it they are written first, up to `closeTimeout`. */
  discard?: boolean;
}
export interface Status {
  type: "status";
  id: string;
}
export interface Reply {
  type: "reply";
  session: string;
  seq: number;
  args: unknown[];
  id?: string;
}
export interface Ping {
  type: "ping";
  id: string;
}

/** Every frame of an extension, but `part` and `batch`. */
export type ToBroker =
  | Hello
  | Open
  | Ack
  | Send
  | Request
  | Cancel
  | Subscribe
  | UnsubscribeFrame
  | Authorize
  | Window
  | Reconnect
  | Detach
  | Close
  | Status
  | Reply
  | Ping;
