// The values that frames of the protocol are made of.

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A message's content: exactly one of the three. `base64` is bytes. */
export type Payload =
  | { text: string; json?: never; base64?: never }
  | { json: unknown; text?: never; base64?: never }
  | { base64: string; text?: never; json?: never };

/** A Socket.IO event in the place of a payload. */
export interface EventPayload {
  event: string;
  args?: unknown[];
  namespace?: string;
}

/** JSON pointers and the required values; an array means any of them. */
export type Rule = Record<string, unknown>;

/** How the answer to a request is recognised. */
export type Match = { out: string; in: string } | { jsonrpc: true } | { ack: true };

/** What makes a message `confirmed`: pointers into it and into an answer, or the acknowledgement of Socket.IO. */
export type Confirm = { out: string; in: string } | { ack: true };

/** The state of the link between broker and server. */
export type LinkState = "connecting" | "open" | "waiting" | "unauthorized" | "paused" | "failed" | "closed";

/** What to do about an error. */
export type Retry = "no" | "now" | "later" | "auth" | "action";

/** The outcome of a `send`. */
export type OutcomeWord = "sent" | "confirmed" | "unknown" | "failed" | "expired" | "dropped" | "cancelled";

/** Why records were lost. `acknowledged`: the client resumed from before its own acknowledgement. */
export type GapReason = "overflow" | "age" | "too-large" | "crash" | "journal" | "acknowledged";

/** What the broker could do with the offered position. */
export type ResumeAnswer = "fresh" | "exact" | "gap" | "reset";
