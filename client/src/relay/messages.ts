// The messages between a content script and the worker over `runtime.connect`. All are plain JSON, because Chromium sends
// nothing else.

import type { ErrorCode, LongwireError } from "../errors.js";
import type { GapEvent } from "../inbox.js";
import type { Received, ReceivedFields } from "../received.js";
import type {
  EndReason,
  RequestOptions,
  SendOptions,
  SendOutcome,
  SessionOptions,
  StateEvent,
} from "../session-types.js";
import type { EventPayload, Payload, Retry } from "../wire.js";

/** A port's name is this and the page's own id. The number is the version of these messages. */
export const PORT_NAME = "longwire/1/";

/** A `LongwireError` as JSON. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  retry: Retry;
  originalMessage?: string | undefined;
  doctor: string;
  fix?: string | undefined;
}

/** An event of the link with its error as JSON. */
export type PlainState = Omit<StateEvent, "error"> & { error?: PlainError };

/** Messages of a page. `n` names a message or gap; `id` a send or request. */
export type FromPage =
  | { type: "open"; session: string; from?: SessionOptions["from"] }
  | { type: "done"; n: number }
  | { type: "reply"; n: number; args: unknown[] }
  | { type: "send"; session: string; id: string; body: Payload | EventPayload; options: SendOptions }
  | { type: "request"; session: string; id: string; body: Payload | EventPayload; options: RequestOptions }
  | { type: "cancel"; id: string }
  | { type: "detach"; session: string };

/** Messages of the worker. */
export type ToPage =
  | { type: "ready" }
  | { type: "refused"; error: PlainError }
  | { type: "opened"; session: string; epoch: string; state: PlainState }
  | { type: "message"; session: string; n: number; epoch: string; message: ReceivedFields }
  | { type: "gap"; session: string; n: number; gap: GapEvent }
  | { type: "state"; session: string; state: PlainState }
  | { type: "live"; session: string }
  | { type: "outcome"; session: string; id: string; outcome: Omit<SendOutcome, "error">; error?: PlainError }
  | { type: "response"; session: string; id: string; epoch: string; message: ReceivedFields }
  | { type: "failed"; session: string; id?: string; error: PlainError }
  | { type: "detached"; session: string; reason: EndReason; error: PlainError }
  | { type: "error"; error: PlainError };

/** An error as JSON. An error that is not a `LongwireError` comes from invalid arguments of the page. */
export function toPlain(error: unknown): PlainError {
  const { code, message, retry, originalMessage, doctor, fix } = error as LongwireError;
  if (code) return { code, message, retry, originalMessage, doctor, fix };
  return {
    code: "bad-option",
    message: message ?? `longwire: ${error}`,
    retry: "no",
    doctor: "longwire doctor",
  };
}

/** A change of the link as JSON. */
export function toPlainState({ error, ...state }: StateEvent): PlainState {
  return error ? { ...state, error: toPlain(error) } : state;
}

/** A message or an answer as JSON. */
export function toFields(received: Received): ReceivedFields {
  const { session, seq, time, redelivered, tags, text, json, base64, event, args, namespace } = received;
  const { lastEventId, wantsReply: reply } = received;
  const content = { text, json, base64, event, args, namespace, lastEventId, reply };
  return { session, seq, time, redelivered, tags, ...content };
}
