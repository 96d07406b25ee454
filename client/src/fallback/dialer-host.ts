// The callbacks of a session's dialer.

import type { Json, LinkState, State } from "../wire.js";
import type { Incoming, LinkEnd, NamespaceChange, SendReply } from "./link.js";
import type { Readable } from "./rules.js";

/** The fields of a state record beside `state`. */
export type StateFields = Partial<Omit<State, "type" | "session" | "seq" | "state">>;

/** A request to the provider of credentials. */
export interface CredentialsRequest {
  readonly nonce: string;
  readonly why: "first" | "refused" | "login";
  readonly attempt: number;
  /** Milliseconds that the provider has to answer. */
  readonly deadline: number;
  readonly status?: number;
  /** With `login`: values from the server's messages. */
  readonly values?: Record<string, Json>;
}

/** Callbacks of the dialer. */
export interface DialerHost {
  state(state: LinkState, fields: StateFields): void;
  namespace(change: NamespaceChange): void;
  message(message: Incoming, read: Readable, reply: SendReply | undefined): void;
  /** Subscriptions and the outbox may be sent. */
  ready(): void;
  room(): void;
  /** The connection ended. Returns whether the session ends with it. */
  ended(end: LinkEnd): boolean;
  /** Messages in flight on the connection have no other outcome. */
  lost(): void;
  askCredentials(question: CredentialsRequest): void;
  /** Whether nothing is in flight. */
  isIdle(): boolean;
  /** Whether the session moves to the host instead of dialling again. */
  movesToHost(): boolean;
}
