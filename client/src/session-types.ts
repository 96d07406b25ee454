// The options, outcomes and events of a session, as types. The frames' types are in wire.ts.

import type { AnyLongwireError, LongwireError } from "./errors.js";
import type { GapEvent } from "./inbox.js";
import type { Sendable } from "./payload.js";
import type { Received } from "./received.js";
import type { StandardSchema } from "./standard-schema.js";
import type {
  AuthNeeded,
  Confirm,
  Credentials,
  Detached,
  EventPayload,
  Filter,
  Match,
  OpenOptions,
  OutcomeWord,
  Rule,
  Stalled,
  State,
  Subscription,
} from "./wire.js";

/** Options of `bridge.open`: those of the protocol, and those of the SDK. */
export interface SessionOptions extends OpenOptions {
  /**
   * `"auto"` (default): a message is acknowledged when its handler has settled or the loop asks for the next one.
   * `"manual"`: only `message.done()` acknowledges.
   */
  ack?: "auto" | "manual";
  /** Maximum number of calls of a handler that throws, per message. Default 3. */
  attempts?: number;
  /**
   * Whether `open` waits for a native host that cannot be reached, or rejects. Default: it waits if the bridge has an
   * `error` listener.
   */
  waitForHost?: boolean;
  /**
   * Where this client begins: `"now"` with new messages, `"last:50"` with the last 50 messages in the broker's log,
   * `"start"` with the whole log. Default: the client's position. Applies when `open` creates the session in this
   * context; afterwards it continues at its position.
   */
  from?: "now" | "start" | `last:${number}`;
  /**
   * Validates received messages, the value of `json` or else `data`: a schema of zod, valibot, arktype or another
   * library with Standard Schema. `message.json` is the validated value. A rejected message is passed to
   * `on("invalid")`; without a listener the session stops there with the error `invalid-message`, and
   * `message.done()` skips it.
   */
  schema?: StandardSchema;
  /** @internal Of this context only: its position is not stored, and when it is lost it is not made again. */
  transient?: boolean;
  /** Effect of a different URL or different options on an existing session. Default `"update"`. */
  conflict?: "update" | "keep" | "error";
}

/** Options of `session.send`. */
export interface SendOptions {
  /** Repeat an earlier id to get its outcome; the message is not sent twice. Default: a new id. */
  id?: string;
  /** Wait for the outcome. `false`: resolve with `accepted` as soon as the broker has the message. Default true. */
  receipt?: boolean;
  /** How long it may wait for the link, in milliseconds. Default one hour. */
  ttl?: number;
  /** Drop it unless the link is open. */
  volatile?: boolean;
  /** If the link is lost before the outcome is known: report `unknown` (default), or resend. */
  ifLost?: "report" | "resend";
  /**
   * What makes it `confirmed`: pointers that correlate an answer of the server with it, or Socket.IO's
   * acknowledgement.
   */
  confirm?: Confirm;
  /** Priority, 0 to 3: of the messages that wait for the link, lower numbers are sent first. Default 1. */
  lane?: number;
  /** Cancels the message. */
  signal?: AbortSignal;
}

/** Options of `session.request`. */
export interface RequestOptions extends Omit<SendOptions, "receipt"> {
  /** How the answer is recognised. */
  match: Match;
  /** Milliseconds until it fails with `timeout`. Default 30000. */
  timeout?: number;
}

/** The outcome of a message. `accepted` only with `receipt: false`. */
export interface SendOutcome {
  id: string;
  outcome: OutcomeWord | "accepted";
  error?: LongwireError;
}

/** The messages to the server for a subscription, and its filter. */
export interface SubscribeSpec {
  /** Sent on every connection. */
  send?: (Sendable | EventPayload)[];
  /** Sent when the subscription ends. */
  undo?: (Sendable | EventPayload)[];
  /** Matches the server's confirmation. */
  confirm?: Rule;
  /** Evaluated in the broker; the first match wins. */
  filter?: Filter[];
  /** Which messages the callback receives. Default: all except those that the broker tags with other keys. */
  match?: (message: Received) => boolean;
}

/** A change of the link. `past` marks a state that had ended before this worker started. */
export type StateEvent = Pick<State, "state"> &
  Partial<Omit<State, "state" | "type" | "error">> & { error?: LongwireError; past?: boolean };

/** A request for new credentials. */
export type AuthRequest = Omit<AuthNeeded, "type" | "nonce">;

/** Returns credentials, or throws if there are none. */
export type AuthHandler = (request: AuthRequest) => Credentials | Promise<Credentials>;

/**
 * Why this worker is no longer attached to a session: the broker's reasons, `left` by itself, `refused` by the
 * broker.
 */
export type EndReason = Detached["reason"] | "left" | "refused";

/** The events of a session. */
export interface SessionEvents<Incoming = unknown> {
  message: [message: Received<Incoming>];
  /** The `schema` rejects a message. It is acknowledged when the callbacks have settled. */
  invalid: [message: Received, error: LongwireError<"invalid-message">];
  gap: [gap: GapEvent];
  state: [state: StateEvent];
  /** The backlog has been replayed; the messages that follow are new. */
  live: [];
  /** The window has been full for a second: this client is too slow. */
  stalled: [stalled: Stalled];
  subscription: [subscription: Subscription];
  /** A failure that no promise reports. `message` is set if its handler failed. */
  error: [error: AnyLongwireError, message?: Received];
  /** The outcome of a message that an earlier worker sent. */
  outcome: [outcome: SendOutcome];
  /** The response to a request of an earlier worker. */
  response: [id: string, response: Received | LongwireError];
  /** This worker is no longer attached to the session. */
  detached: [reason: EndReason, error: LongwireError, how?: CloseReport];
}

/** How the link of a closed session ended. */
export interface CloseReport {
  /** The server's close code. */
  code?: number;
  /** The server's close reason. */
  reason?: string;
  /** Whether all messages were written and the server answered the close. */
  clean?: boolean;
}
