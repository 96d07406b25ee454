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

/** JSON pointers and the values they must have; an array means any of. */
export type Rule = Record<string, unknown>;

/** How a request finds its answer. */
export type Match = { out: string; in: string } | { jsonrpc: true } | { ack: true };

/** What proves a message `confirmed`: pointers into it and into an answer, or the acknowledgement of Socket.IO. */
export type Confirm = { out: string; in: string } | { ack: true };

/** The state of the link between broker and server. */
export type LinkState = "connecting" | "open" | "waiting" | "unauthorized" | "paused" | "failed" | "closed";

/** What to do about an error. */
export type Retry = "no" | "now" | "later" | "auth" | "action";

/** How a `send` ended. */
export type OutcomeWord = "sent" | "confirmed" | "unknown" | "failed" | "expired" | "dropped" | "cancelled";

/** Why records were lost. `acknowledged`: a position before one's own acknowledgement was offered. */
export type GapReason = "overflow" | "age" | "too-large" | "crash" | "journal" | "acknowledged";

/** What the broker could do with the offered position. */
export type ResumeAnswer = "fresh" | "exact" | "gap" | "reset";
