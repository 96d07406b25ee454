// What a session is given and what it tells, as types: options, outcomes, events. What it does with them is in
// session.ts; the frames' own types are in wire.ts.

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

/** Options of `bridge.open`: the protocol's, and those of the SDK. */
export interface SessionOptions extends OpenOptions {
  /**
   * `"auto"` (default): a message is acknowledged when its handler has settled or the loop asks for the next one.
   * `"manual"`: only `message.done()` acknowledges.
   */
  ack?: "auto" | "manual";
  /** How often a message is handed to a handler that throws, all in all. Default 3. */
  attempts?: number;
  /**
   * Whether `open` waits for a native host that cannot be reached, or rejects. Default: it waits when somebody listens
   * for the bridge's `error` event.
   */
  waitForHost?: boolean;
  /**
   * Where this client begins: `"now"` with what comes from now on, `"last:50"` with the last 50 messages that the broker
   * still holds, `"start"` with everything it holds. Default: where this client stood. Counts when `open` makes the
   * session in this context; afterwards it continues where it was.
   */
  from?: "now" | "start" | `last:${number}`;
  /**
   * Validates what is received, the value of `json` or else `data`: a validator of zod, valibot, arktype or another that
   * has Standard Schema. `message.json` is what it makes of it. A message that it refuses goes to `on("invalid")`; without a
   * listener the session stops there with the error `invalid-message`, and `message.done()` skips it.
   */
  schema?: StandardSchema;
  /** @internal Of this context only: its position is not stored, and when it is lost it is not made again. */
  transient?: boolean;
  /** What a different URL or other options do to a session that exists. Default `"update"`. */
  conflict?: "update" | "keep" | "error";
}

/** Options of `session.send`. */
export interface SendOptions {
  /** Repeat an earlier id to find out what became of it; it is not sent twice. Default: a new one. */
  id?: string;
  /** Wait for the outcome. `false`: resolve with `accepted` as soon as the broker has the message. Default true. */
  receipt?: boolean;
  /** Milliseconds it may wait for the link. Default one hour. */
  ttl?: number;
  /** Drop it unless the link is open. */
  volatile?: boolean;
  /** When the link breaks before the outcome is known: report `unknown` (default), or send again. */
  ifLost?: "report" | "resend";
  /** What proves it `confirmed`: pointers that tie an answer of the server to it, or Socket.IO's acknowledgement. */
  confirm?: Confirm;
  /** 0 to 3: among messages that wait for the link, lower ones go first. Default 1. */
  lane?: number;
  /** Withdraws it. */
  signal?: AbortSignal;
}

/** Options of `session.request`. */
export interface RequestOptions extends Omit<SendOptions, "receipt"> {
  /** How the answer is found. */
  match: Match;
  /** Milliseconds until it fails with `timeout`. Default 30000. */
  timeout?: number;
}

/** How a message ended. `accepted` only with `receipt: false`. */
export interface SendOutcome {
  id: string;
  outcome: OutcomeWord | "accepted";
  error?: LongwireError;
}

/** What is said to the server for a subscription, and what is let through. */
export interface SubscribeSpec {
  /** Sent on every connection. */
  send?: (Sendable | EventPayload)[];
  /** Sent when the subscription ends. */
  undo?: (Sendable | EventPayload)[];
  /** Proves that the server agreed. */
  confirm?: Rule;
  /** Evaluated in the broker; the first match wins. */
  filter?: Filter[];
  /** Which messages the callback gets. Default: all but those that the broker tags with other keys. */
  match?: (message: Received) => boolean;
}

/** A change of the link. `past` marks a change that was over before this worker came. */
export type StateEvent = Pick<State, "state"> &
  Partial<Omit<State, "state" | "type" | "error">> & { error?: LongwireError; past?: boolean };

/** Asked for fresh credentials. */
export type AuthRequest = Omit<AuthNeeded, "type" | "nonce">;

/** Gives credentials, or throws to say that there are none. */
export type AuthHandler = (request: AuthRequest) => Credentials | Promise<Credentials>;

/** Why this worker does not hold a session any more: the broker's reasons, `left` by itself, `refused` by the broker. */
export type EndReason = Detached["reason"] | "left" | "refused";

/** The events of a session. */
export interface SessionEvents<Incoming = unknown> {
  message: [message: Received<Incoming>];
  /** The `schema` refuses a message. It is acknowledged when the callbacks have settled. */
  invalid: [message: Received, error: LongwireError<"invalid-message">];
  gap: [gap: GapEvent];
  state: [state: StateEvent];
  /** Replay is over; what follows is new. */
  live: [];
  /** The window has been full for a second: this side is too slow. */
  stalled: [stalled: Stalled];
  subscription: [subscription: Subscription];
  /** A failure that no promise reports. `message` is set when a handler failed on it. */
  error: [error: AnyLongwireError, message?: Received];
  /** The outcome of a message that an earlier worker sent. */
  outcome: [outcome: SendOutcome];
  /** The response to a request of an earlier worker. */
  response: [id: string, response: Received | LongwireError];
  /** This worker does not hold the session any more. */
  detached: [reason: EndReason, error: LongwireError, how?: CloseReport];
}

/** How the link of a session ended that was closed. */
export interface CloseReport {
  /** The server's close code. */
  code?: number;
  /** The server's close reason. */
  reason?: string;
  /** Everything that was sent was written, and the server has answered the close. */
  clean?: boolean;
}
